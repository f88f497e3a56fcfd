-- Whether a template exists (it has its name only when it is complete), whether today's use is noted, and whether
-- another program made a database of its name.
SELECT jsonb_build_object('there', count(*) > 0, 'noted', coalesce(bool_or(
        CASE WHEN shobj_description(oid, 'pg_database') ~ '^used \d{4}-\d\d-\d\d$'
        THEN substr(shobj_description(oid, 'pg_database'), 6)::date >= current_date END), false),
    'foreign', coalesce(bool_or(datconnlimit <> {mark}), false),
    'today', current_date)
FROM pg_database WHERE datname = {template}
