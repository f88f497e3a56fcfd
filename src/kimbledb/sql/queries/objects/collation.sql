-- Collations.
SELECT 'collation', own.name,
       json_strip_nulls(json_build_object(
           'provider', CASE own.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END,
           'locale', CASE WHEN own.collprovider = 'c' THEN own.collcollate ELSE own.locale END,
           'ctype', CASE WHEN own.collprovider = 'c' THEN nullif(own.collctype, own.collcollate) END,
           'deterministic', CASE WHEN NOT own.collisdeterministic THEN 'false' END,
           'rules', own.collicurules)),
       NULL::jsonb, own.class, own.oid, 0, own.collowner, NULL
FROM older
CROSS JOIN LATERAL (
    SELECT l.tableoid AS class, l.oid, home.prefix || {quoted:l.collname} AS name, l.collowner, l.collprovider, l.collcollate,
           l.collctype, l.collisdeterministic, coalesce(colllocale, colliculocale) AS locale, collicurules
    FROM pg_catalog.pg_collation AS l
    JOIN home ON home.oid = l.collnamespace
    WHERE {named:l.collname}
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_collation'::regclass AND d.objid = l.oid AND d.deptype = 'e')
) AS own
