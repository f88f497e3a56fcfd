-- The same where there are measurements already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE model_performance_metrics ADD COLUMN IF NOT EXISTS cost_usd numeric(10,6);

-- Each holds for new rows at once, and for those that are there when they have been looked at.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('model_performance_metrics', 'model_performance_metrics_cost_usd_check', 'CHECK (cost_usd >= 0)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab AND present.conname = listed.name)
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition || ' NOT VALID';
    END LOOP;
END
$checks$;

DO $validation$
DECLARE
    open record;
BEGIN
    FOR open IN
        SELECT tab.relname, con.conname
        FROM pg_catalog.pg_constraint AS con
        JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT con.convalidated
          AND con.conname IN (
              'model_performance_metrics_cost_usd_check')
    LOOP
        EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', open.relname, open.conname);
    END LOOP;
END
$validation$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_model_performance_metrics_cost ON model_performance_metrics (task_type, task_complexity, model_name)
    INCLUDE (cost_usd) WHERE cost_usd IS NOT NULL;
