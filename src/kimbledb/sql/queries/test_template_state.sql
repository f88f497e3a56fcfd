-- Whether a template is there, which it is under its name only when it is whole,
-- whether its use was noted lately, and whether another hand made what has its name.
SELECT jsonb_build_object('there', count(*) > 0, 'noted', coalesce(bool_or(
        CASE WHEN shobj_description(oid, 'pg_database') ~ '^used \d{4}-\d\d-\d\d$'
        THEN substr(shobj_description(oid, 'pg_database'), 6)::date >= current_date END), false),
    'foreign', coalesce(bool_or(datconnlimit <> {mark}), false),
    'today', current_date)
FROM pg_database WHERE datname = {template}
