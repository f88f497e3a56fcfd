-- The names of tables and materialised views, by oid.
SELECT coalesce(jsonb_object_agg(c.oid, c.relname), '{}') FROM pg_catalog.pg_class AS c WHERE c.oid = ANY ({oids})
