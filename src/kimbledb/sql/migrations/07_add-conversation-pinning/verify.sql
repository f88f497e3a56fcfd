-- name: both_names_hold_the_same
SELECT count(*) = 0 AS passed, '0 rows differ' AS expected, format('%s rows differ', count(*)) AS found
FROM conversations
WHERE pinned IS DISTINCT FROM is_pinned;
