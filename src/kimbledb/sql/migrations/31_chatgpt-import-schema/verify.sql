-- name: imports_can_be_searched
SELECT count(*) <= 1 AS passed, 'an answer' AS expected, format('%s rows', count(*)) AS found
FROM search_chatgpt('anything "at all" -nothing', 1);
