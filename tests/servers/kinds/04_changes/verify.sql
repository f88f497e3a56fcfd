-- name: middling
SELECT 'middling'::mood IS NOT NULL AS passed;
