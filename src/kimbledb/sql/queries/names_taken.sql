-- Whether any relation, function or type in any schema has one of these names.
SELECT to_jsonb(EXISTS (SELECT FROM pg_class AS c WHERE c.relname = ANY ({names}))
                OR EXISTS (SELECT FROM pg_proc AS p WHERE p.proname = ANY ({names}))
                OR EXISTS (SELECT FROM pg_type AS t WHERE t.typname = ANY ({names})))
