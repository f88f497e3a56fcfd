-- name: documented_query runs
SELECT * FROM devices WHERE last_seen_at > NOW() - INTERVAL '1 hour';

-- name: every_key_of_a_context_has_a_stamp
SELECT count(*) = 0 AS passed, '0 keys without a stamp, or newer than their context' AS expected,
       format('%s keys without a stamp, or newer than their context', count(*)) AS found
FROM device_context AS own
CROSS JOIN LATERAL jsonb_object_keys(own.context) AS key
WHERE NOT own.key_stamps ? key OR (own.key_stamps -> key ->> 'version')::bigint > own.version;

-- name: everything_of_a_device_is_its_persons
SELECT count(*) = 0 AS passed, '0 rows of another person''s device' AS expected,
       format('%s rows of another person''s device', count(*)) AS found
FROM (
    SELECT own.user_id, own.device_id FROM device_context AS own
    UNION ALL
    SELECT item.user_id, item.target_device_id FROM device_sync_queue AS item
    UNION ALL
    SELECT item.user_id, item.source_device_id FROM device_sync_queue AS item
    UNION ALL
    SELECT conflict.user_id, conflict.device_id FROM device_context_conflicts AS conflict
) AS part
JOIN devices AS device ON device.id = part.device_id AND device.user_id <> part.user_id;
