-- The databases of kimbledb that can be dropped: those of runs that have ended, and templates without recent use. A run
-- holds the lock of its number as long as it lives, in any database; the number is part of the names. A database
-- without the mark is not kimbledb's, whatever its name.
SELECT coalesce(jsonb_agg(datname ORDER BY datname), '[]')
FROM pg_database AS d
WHERE datconnlimit = {mark}
  AND ((datname ~ '^kimbledb_(test|making)_[0-9a-f]{8}_'
        AND NOT EXISTS (
            SELECT FROM pg_locks AS l
            WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {run_class}
              AND lpad(to_hex(l.objid::bigint), 8, '0') = split_part(datname, '_', 3)))
    OR (datname ~ '^kimbledb_template_[0-9a-f]{16}$' AND datname <> {template}
        AND CASE WHEN shobj_description(d.oid, 'pg_database') ~ '^used \d{4}-\d\d-\d\d'
            THEN substr(shobj_description(d.oid, 'pg_database'), 6, 10)::date < current_date - {days} END))
