-- The rows of a snapshot: kind, name, facts, form, identity, source, owner. In the order in which they were made, and
-- privileges in that in which they were granted, where what they need is asked for, too.
{scope},
object (kind, name, facts, expressions, class, oid, sub, owner, source) AS (
{objects}
)
SELECT json_build_object('objects', coalesce(json_agg(json_build_array(
    kind, name, coalesce(facts || expressions, facts), md5(expressions::text),
    CASE WHEN {identities} THEN json_build_array(
        CASE WHEN kind IN ('comment', 'privilege') THEN kind || ' on ' ELSE '' END || class::regclass::text, oid::bigint, sub) END,
    source, CASE WHEN {owners} THEN pg_get_userbyid(owner) END){in_order}), '[]'), 'needs', {needs})
FROM (
SELECT *{place} FROM (
SELECT * FROM object{others}
) AS answered
) AS answered
