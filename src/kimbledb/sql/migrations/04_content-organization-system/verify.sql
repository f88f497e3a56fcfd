-- name: documented_query runs
SELECT * FROM categories ORDER BY created_at;

-- name: no_category_is_below_itself
WITH RECURSIVE walk (start, id) AS (
    SELECT id, parent_id FROM categories WHERE parent_id IS NOT NULL
    UNION
    SELECT walk.start, c.parent_id FROM walk JOIN categories AS c ON c.id = walk.id WHERE c.parent_id IS NOT NULL
)
SELECT count(*) FILTER (WHERE start = id) = 0 AS passed, '0 circles' AS expected,
       count(*) FILTER (WHERE start = id) || ' categories in circles' AS found
FROM walk;
