-- Records of forms that history lacked, or that another server or database had made.
DECLARE
    renewed constant jsonb := current_setting('kimbledb.renewed')::jsonb;
BEGIN
    UPDATE {schema}.migration_history AS h SET forms = renewed->h.migration_name || {origin}
    WHERE renewed ? h.migration_name AND h.success;
END
