-- Enums, domains, composite types and ranges. Base types are left out.
SELECT 'type', own_type.name,
       json_strip_nulls(CASE own_type.typtype
           WHEN 'e' THEN json_build_object('labels', coalesce((
               SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = own_type.oid), '[]'))
           WHEN 'd' THEN json_build_object(
               'base', format_type(own_type.typbasetype, own_type.typtypmod),
               'collation', CASE WHEN own_type.typcollation <> (SELECT b.typcollation FROM pg_catalog.pg_type AS b WHERE b.oid = own_type.typbasetype)
                                 THEN own_type.typcollation::regcollation::text END,
               'not_null', nullif(own_type.typnotnull, false),
               -- It has a name since version 17: shown unless it is the one that the server chooses.
               'not_null_name', CASE WHEN own_type.typnotnull THEN (
                   SELECT {quoted:n.conname} FROM pg_catalog.pg_constraint AS n
                   WHERE n.contypid = own_type.oid AND n.contype = 'n' AND n.conname <> left(own_type.typname, 54) || '_not_null') END)
           WHEN 'r' THEN (
               SELECT json_build_object('range', concat_ws(', ',
                   'subtype = ' || format_type(r.rngsubtype, NULL),
                   (SELECT 'subtype_opclass = ' || CASE WHEN pg_opclass_is_visible(o.oid) THEN '' ELSE o.opcnamespace::regnamespace::text || '.' END || quote_ident(o.opcname)
                    FROM pg_catalog.pg_opclass AS o
                    WHERE o.oid = r.rngsubopc AND NOT o.opcdefault),
                   CASE WHEN r.rngcollation <> (SELECT s.typcollation FROM pg_catalog.pg_type AS s WHERE s.oid = r.rngsubtype)
                        THEN 'collation = ' || r.rngcollation::regcollation::text END,
                   'canonical = ' || {routine:r.rngcanonical},
                   'subtype_diff = ' || {routine:r.rngsubdiff},
                   (SELECT 'multirange_type_name = ' || quote_ident(m.typname) FROM pg_catalog.pg_type AS m WHERE m.oid = r.rngmultitypid)))
               FROM pg_catalog.pg_range AS r WHERE r.rngtypid = own_type.oid)
           ELSE json_build_object('attributes', coalesce((
               SELECT json_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                                || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || a.attcollation::regcollation::text ELSE '' END
                                ORDER BY a.attnum)
               FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
               WHERE a.attrelid = own_type.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '[]')) END),
       {form:type},
       own_type.class, own_type.oid, 0, own_type.typowner, NULL
FROM own_type
