-- Operator classes with their members.
SELECT 'operator class', home.prefix || {quoted:class.opcname} || ' using ' || {quoted:am.amname},
       json_strip_nulls(json_build_object(
           'type', format_type(class.opcintype, NULL),
           'default', nullif(class.opcdefault, false),
           'family', (SELECT CASE WHEN pg_opfamily_is_visible(f.oid) THEN '' ELSE f.opfnamespace::regnamespace::text || '.' END || {quoted:f.opfname}
                      FROM pg_catalog.pg_opfamily AS f
                      WHERE f.oid = class.opcfamily),
           'storage', format_type(nullif(class.opckeytype, 0), NULL),
           'operators', members.operators,
           'functions', members.functions)),
       NULL::jsonb, class.tableoid, class.oid, 0, class.opcowner, NULL
FROM pg_catalog.pg_opclass AS class
JOIN home ON home.oid = class.opcnamespace
JOIN pg_catalog.pg_am AS am ON am.oid = class.opcmethod
CROSS JOIN LATERAL (
    {members:'pg_catalog.pg_opclass'::regclass AND d.refobjid = class.oid}
) AS members (operators, functions)
WHERE {named:class.opcname}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_opclass'::regclass AND d.objid = class.oid AND d.deptype = 'e')
