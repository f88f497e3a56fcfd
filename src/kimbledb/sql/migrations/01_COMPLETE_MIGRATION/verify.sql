-- name: documented_query runs
SELECT table_name FROM information_schema.tables
WHERE table_schema = current_schema()
ORDER BY table_name;

-- name: uuid_ossp_answers
SELECT uuid_generate_v4() IS NOT NULL AS passed;

-- name: nobody_is_nobody
-- Without a claim and without the setting, nobody asks.
SELECT requesting_user_id() IS NOT DISTINCT FROM coalesce(
           nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''),
           nullif(current_setting('kimbledb.user_id', true), '')) AS passed;

-- name: schedules_come_when_they_should
-- The 31st comes back after February, a weekday keeps its time where clocks change, and a cron line takes either day.
SELECT string_agg(coalesce(next_scheduled(plan.schedule, plan.after::timestamptz, 'Europe/Berlin', plan.first_run::timestamptz)
                               AT TIME ZONE 'UTC' || '', 'never'), ', ' ORDER BY plan.place)
           = '2026-03-31 07:00:00, 2026-03-29 07:00:00, 2026-02-06 00:00:00' AS passed
FROM (VALUES (1, 'P1M', '2026-02-28 08:00+00', '2026-01-31 08:00+00'),
             (2, 'every sunday', '2026-03-28 12:00+00', '2026-03-01 08:00+00'),
             (3, '0 1 13 * fri', '2026-02-01 00:00+00', NULL)) AS plan (place, schedule, after, first_run);
