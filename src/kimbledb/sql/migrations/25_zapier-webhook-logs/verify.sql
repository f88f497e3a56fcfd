-- name: allowance_can_be_asked_for
-- A person who never called has all calls left.
SELECT allowed AND remaining = 7 AS passed,
       'allowed, 7 remaining' AS expected,
       format('%s, %s remaining', CASE WHEN allowed THEN 'allowed' ELSE 'not allowed' END, remaining) AS found
FROM zapier_webhook_allowance('nobody, and no id of anybody', 7, '1 hour');
