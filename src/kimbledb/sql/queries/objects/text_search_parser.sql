-- Parsers of text search.
SELECT 'text search parser', home.prefix || {quoted:p.prsname},
       json_strip_nulls(json_build_object(
           'start', {routine:p.prsstart}, 'gettoken', {routine:p.prstoken}, 'end', {routine:p.prsend},
           'headline', {routine:p.prsheadline}, 'lextypes', {routine:p.prslextype})),
       NULL::jsonb, p.tableoid, p.oid, 0, NULL::oid, NULL
FROM pg_catalog.pg_ts_parser AS p
JOIN home ON home.oid = p.prsnamespace
WHERE {named:p.prsname}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_ts_parser'::regclass AND d.objid = p.oid AND d.deptype = 'e')
