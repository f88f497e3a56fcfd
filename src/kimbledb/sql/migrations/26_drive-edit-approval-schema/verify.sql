-- name: transitions_are_as_drawn
WITH status (name) AS (
    SELECT unnest(ARRAY['pending', 'approved', 'rejected', 'cancelled', 'expired', 'applying', 'applied', 'failed'])
), step AS (
    SELECT format('%s-%s', old.name, new.name) AS name, drive_edit_transition_allowed(old.name, new.name) AS allowed
    FROM status AS old
    CROSS JOIN status AS new
)
SELECT bool_and(step.allowed = (step.name = ANY (ARRAY[
           'pending-approved', 'pending-rejected', 'pending-cancelled', 'pending-expired',
           'approved-applying', 'approved-applied', 'approved-failed', 'approved-cancelled', 'approved-expired',
           'applying-applied', 'applying-failed', 'failed-applying', 'failed-cancelled']))) AS passed,
       '13 of 64' AS expected,
       format('%s of %s', count(*) FILTER (WHERE step.allowed), count(*)) AS found
FROM step;

-- name: the_trail_is_whole
-- The latest entry of each request that the trail knows from its beginning has the request's status.
SELECT count(*) = 0 AS passed,
       '0 requests differ from their trail' AS expected,
       format('%s requests differ from their trail', count(*)) AS found
FROM drive_edit_requests AS request
JOIN LATERAL (
    SELECT log.new_status
    FROM drive_edit_audit_log AS log
    WHERE log.request_id = request.id
    ORDER BY log.id DESC
    LIMIT 1
) AS entry ON entry.new_status IS DISTINCT FROM request.status;
