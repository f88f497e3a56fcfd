-- People read their own; the service writes.
GRANT SELECT ON indexing_state TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON indexing_state TO service_role;
