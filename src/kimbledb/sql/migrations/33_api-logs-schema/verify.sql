-- name: errors_are_categorized
SELECT api_error_category(200, NULL) IS NULL
           AND api_error_category(429) = 'rate_limit'
           AND api_error_category(500, 'statement timeout') = 'timeout'
           AND api_error_category(418) = 'client'
           AND api_error_category(NULL, 'socket hang up') = 'unknown' AS passed;

-- name: logged_errors_have_their_category
-- Of the latest thousand requests.
SELECT count(*) = 0 AS passed, '0 errors without one' AS expected, format('%s errors without one', count(*)) AS found
FROM (SELECT * FROM api_logs ORDER BY created_at DESC LIMIT 1000) AS log
WHERE log.error_category IS NULL AND (log.status_code >= 400 OR log.error_message IS NOT NULL);

-- name: present_windows_can_be_looked_at
SELECT count(*) = 0 AS passed, '0 wrong rows' AS expected, format('%s wrong rows', count(*)) AS found
FROM api_rate_limit_usage
WHERE remaining < 0 OR reset_at <= now();
