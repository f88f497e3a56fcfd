-- Takes back device-continuity.sql.
DROP FUNCTION IF EXISTS claim_device_sync(text, integer);
DROP FUNCTION IF EXISTS sync_device_context(text, text);
DROP FUNCTION IF EXISTS save_device_context(text, jsonb, bigint, timestamp with time zone, text);
DROP FUNCTION IF EXISTS merge_device_context(text, jsonb, jsonb, bigint);
DROP TABLE IF EXISTS device_context_conflicts;
DROP TABLE IF EXISTS device_sync_queue;
DROP TABLE IF EXISTS device_context;
DROP TABLE IF EXISTS devices;
DROP FUNCTION IF EXISTS device_context_stamp();
