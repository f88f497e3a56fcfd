-- Operator families with their loose members.
SELECT 'operator family', home.prefix || {quoted:family.opfname} || ' using ' || {quoted:am.amname},
       json_strip_nulls(json_build_object('operators', members.operators, 'functions', members.functions)),
       NULL::jsonb, family.tableoid, family.oid, 0, family.opfowner, NULL
FROM pg_catalog.pg_opfamily AS family
JOIN home ON home.oid = family.opfnamespace
JOIN pg_catalog.pg_am AS am ON am.oid = family.opfmethod
CROSS JOIN LATERAL (
    {members:'pg_catalog.pg_opfamily'::regclass AND d.refobjid = family.oid}
) AS members (operators, functions)
WHERE {named:family.opfname}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_opfamily'::regclass AND d.objid = family.oid AND d.deptype = 'e')
