-- Conversions between encodings.
SELECT 'conversion', home.prefix || {quoted:v.conname},
       json_strip_nulls(json_build_object(
           'from', pg_encoding_to_char(v.conforencoding),
           'to', pg_encoding_to_char(v.contoencoding),
           'function', {routine:v.conproc},
           'default', nullif(v.condefault, false))),
       NULL::jsonb, v.tableoid, v.oid, 0, v.conowner, NULL
FROM pg_catalog.pg_conversion AS v
JOIN home ON home.oid = v.connamespace
WHERE {named:v.conname}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_conversion'::regclass AND d.objid = v.oid AND d.deptype = 'e')
