-- People read and write their own rows from their devices.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON devices, device_context, device_sync_queue, device_context_conflicts
    TO authenticated, service_role;
GRANT EXECUTE
    ON FUNCTION
        save_device_context(text, jsonb, bigint, timestamptz, text),
        sync_device_context(text, text),
        merge_device_context(text, jsonb, jsonb, bigint, boolean),
        claim_device_sync(text, integer)
    TO authenticated, service_role;
