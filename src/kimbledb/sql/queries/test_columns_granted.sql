-- The columns of a table on which a role has privileges, by privilege.
SELECT jsonb_object_agg(wanted.may, (
    SELECT coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]')
    FROM pg_attribute AS a
    WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND has_column_privilege({role}, a.attrelid, a.attnum, wanted.may)))
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS wanted (may)
