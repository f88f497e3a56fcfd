-- The rows of a snapshot: kind, name, facts, expressions, and the details that are asked for. In the order in which they
-- were made, and privileges in that in which they were granted, where what they need is asked for, too.
{scope},
object (kind, name, facts, expressions, class, oid, sub, owner, source) AS (
{objects}
)
SELECT json_build_object('details', {details}::json, 'objects', coalesce(json_agg(CASE
    -- when: detail
    WHEN true THEN json_build_array(
        kind, name, facts, expressions
        -- when: form
        , md5(expressions::text)
        -- end
        -- when: identity
        , json_build_array(CASE WHEN kind IN ('comment', 'privilege') THEN kind || ' on ' ELSE '' END || class::regclass::text, oid::bigint, sub)
        -- end
        -- when: source
        , source
        -- end
        -- when: owner
        , pg_get_userbyid(owner)
        -- end
    )
    -- end
    WHEN expressions IS NULL THEN json_build_array(kind, name, facts)
    ELSE json_build_array(kind, name, facts, expressions) END
    -- when: needs
    ORDER BY oid, sub, place
    -- end
), '[]'), 'needs', {needs_rows})
FROM (
SELECT *
-- when: needs
, row_number() OVER () AS place
-- end
FROM (
SELECT * FROM object
{others}
) AS answered
) AS answered
