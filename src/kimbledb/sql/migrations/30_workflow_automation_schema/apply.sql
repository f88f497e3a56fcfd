-- workflow_automation_schema.sql
--
-- Workflows in n8n's manner: what starts one (workflow_triggers), what it does
-- (workflow_actions), and how its runs went (workflow_executions). A workflow
-- has an owner; its parts are reached through it.
--
-- active is the documented column; the application says enabled. Both work, for
-- reading and writing, and a trigger keeps them equal.

CREATE TABLE IF NOT EXISTS workflows (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    name text NOT NULL,
    description text,
    version integer DEFAULT 1,
    status text NOT NULL DEFAULT 'active',
    active boolean NOT NULL,
    enabled boolean,
    trigger_type text,
    trigger_config jsonb DEFAULT '{}'::jsonb,
    actions jsonb DEFAULT '[]'::jsonb,
    triggers jsonb DEFAULT '[]'::jsonb,
    steps jsonb DEFAULT '[]'::jsonb,
    conditions jsonb DEFAULT '[]'::jsonb,
    settings jsonb DEFAULT '{}'::jsonb,
    metadata jsonb DEFAULT '{}'::jsonb,
    last_executed timestamptz,
    execution_count integer NOT NULL DEFAULT 0,
    success_count integer NOT NULL DEFAULT 0,
    average_execution_time integer,
    error_rate real,
    learning_enabled boolean NOT NULL DEFAULT false,
    optimization_score real,
    adaptations jsonb DEFAULT '[]'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workflows_pkey PRIMARY KEY (id),
    CONSTRAINT workflows_status_check CHECK (status IN ('active', 'archived', 'disabled', 'draft', 'paused')),
    CONSTRAINT workflows_version_check CHECK (version > 0),
    CONSTRAINT workflows_execution_count_check CHECK (execution_count >= 0),
    CONSTRAINT workflows_success_count_check CHECK (success_count >= 0),
    CONSTRAINT workflows_average_execution_time_check CHECK (average_execution_time >= 0),
    CONSTRAINT workflows_error_rate_check CHECK (error_rate >= 0)
);
ALTER TABLE workflows
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS version integer DEFAULT 1,
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'active',
    ADD COLUMN IF NOT EXISTS active boolean,
    ADD COLUMN IF NOT EXISTS enabled boolean,
    ADD COLUMN IF NOT EXISTS trigger_type text,
    ADD COLUMN IF NOT EXISTS trigger_config jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS actions jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS triggers jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS steps jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS conditions jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS settings jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS last_executed timestamptz,
    ADD COLUMN IF NOT EXISTS execution_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS success_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS average_execution_time integer,
    ADD COLUMN IF NOT EXISTS error_rate real,
    ADD COLUMN IF NOT EXISTS learning_enabled boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS optimization_score real,
    ADD COLUMN IF NOT EXISTS adaptations jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS workflow_executions (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    workflow_id text,
    user_id text,
    status text NOT NULL DEFAULT 'pending',
    trigger_id text,
    trigger_data jsonb DEFAULT '{}'::jsonb,
    context jsonb DEFAULT '{}'::jsonb,
    steps jsonb DEFAULT '[]'::jsonb,
    current_step text,
    outputs jsonb DEFAULT '{}'::jsonb,
    result jsonb,
    error text,
    errors jsonb DEFAULT '[]'::jsonb,
    warnings jsonb DEFAULT '[]'::jsonb,
    approvals jsonb DEFAULT '[]'::jsonb,
    performance_metrics jsonb DEFAULT '{}'::jsonb,
    start_time timestamptz DEFAULT now(),
    end_time timestamptz,
    duration integer,
    started_at timestamptz DEFAULT now(),
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workflow_executions_pkey PRIMARY KEY (id),
    CONSTRAINT workflow_executions_status_check CHECK (status IN (
        'pending', 'running', 'waiting', 'paused', 'completed', 'failed', 'cancelled', 'timeout')),
    CONSTRAINT workflow_executions_duration_check CHECK (duration >= 0)
);
ALTER TABLE workflow_executions
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS workflow_id text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS trigger_id text,
    ADD COLUMN IF NOT EXISTS trigger_data jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS context jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS steps jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS current_step text,
    ADD COLUMN IF NOT EXISTS outputs jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS result jsonb,
    ADD COLUMN IF NOT EXISTS error text,
    ADD COLUMN IF NOT EXISTS errors jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS warnings jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS approvals jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS performance_metrics jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS start_time timestamptz DEFAULT now(),
    ADD COLUMN IF NOT EXISTS end_time timestamptz,
    ADD COLUMN IF NOT EXISTS duration integer,
    ADD COLUMN IF NOT EXISTS started_at timestamptz DEFAULT now(),
    ADD COLUMN IF NOT EXISTS completed_at timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS workflow_triggers (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    workflow_id text NOT NULL,
    trigger_type text NOT NULL,
    name text,
    active boolean NOT NULL DEFAULT true,
    schedule text,
    timezone text NOT NULL DEFAULT 'UTC',
    webhook_key text,
    event_name text,
    config jsonb NOT NULL DEFAULT '{}'::jsonb,
    next_run_at timestamptz,
    last_triggered_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workflow_triggers_pkey PRIMARY KEY (id),
    CONSTRAINT workflow_triggers_webhook_key_key UNIQUE (webhook_key),
    CONSTRAINT workflow_triggers_trigger_type_check CHECK (trigger_type IN ('schedule', 'webhook', 'event'))
);
ALTER TABLE workflow_triggers
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS workflow_id text,
    ADD COLUMN IF NOT EXISTS trigger_type text,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS schedule text,
    ADD COLUMN IF NOT EXISTS timezone text NOT NULL DEFAULT 'UTC',
    ADD COLUMN IF NOT EXISTS webhook_key text,
    ADD COLUMN IF NOT EXISTS event_name text,
    ADD COLUMN IF NOT EXISTS config jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS next_run_at timestamptz,
    ADD COLUMN IF NOT EXISTS last_triggered_at timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS workflow_actions (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    workflow_id text NOT NULL,
    action_type text NOT NULL,
    name text,
    position integer NOT NULL DEFAULT 0,
    active boolean NOT NULL DEFAULT true,
    config jsonb NOT NULL DEFAULT '{}'::jsonb,
    on_error text NOT NULL DEFAULT 'stop',
    max_retries integer NOT NULL DEFAULT 0,
    timeout_ms integer NOT NULL DEFAULT 30000,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workflow_actions_pkey PRIMARY KEY (id),
    CONSTRAINT workflow_actions_action_type_check CHECK (action_type IN ('email', 'api_call', 'database_update')),
    CONSTRAINT workflow_actions_on_error_check CHECK (on_error IN ('stop', 'continue', 'retry')),
    CONSTRAINT workflow_actions_position_check CHECK (position >= 0),
    CONSTRAINT workflow_actions_max_retries_check CHECK (max_retries >= 0),
    CONSTRAINT workflow_actions_timeout_ms_check CHECK (timeout_ms > 0)
);
ALTER TABLE workflow_actions
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS workflow_id text,
    ADD COLUMN IF NOT EXISTS action_type text,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS position integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS config jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS on_error text NOT NULL DEFAULT 'stop',
    ADD COLUMN IF NOT EXISTS max_retries integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS timeout_ms integer NOT NULL DEFAULT 30000,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have a column without its default, or with NULL in it:
-- it gets the default, and NOT NULL where no NULL is left.
ALTER TABLE workflows
    ALTER COLUMN id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN version SET DEFAULT 1,
    ALTER COLUMN status SET DEFAULT 'active',
    ALTER COLUMN trigger_config SET DEFAULT '{}'::jsonb,
    ALTER COLUMN actions SET DEFAULT '[]'::jsonb,
    ALTER COLUMN triggers SET DEFAULT '[]'::jsonb,
    ALTER COLUMN steps SET DEFAULT '[]'::jsonb,
    ALTER COLUMN conditions SET DEFAULT '[]'::jsonb,
    ALTER COLUMN settings SET DEFAULT '{}'::jsonb,
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN execution_count SET DEFAULT 0,
    ALTER COLUMN success_count SET DEFAULT 0,
    ALTER COLUMN learning_enabled SET DEFAULT false,
    ALTER COLUMN adaptations SET DEFAULT '[]'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE workflow_executions
    ALTER COLUMN id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN trigger_data SET DEFAULT '{}'::jsonb,
    ALTER COLUMN context SET DEFAULT '{}'::jsonb,
    ALTER COLUMN steps SET DEFAULT '[]'::jsonb,
    ALTER COLUMN outputs SET DEFAULT '{}'::jsonb,
    ALTER COLUMN errors SET DEFAULT '[]'::jsonb,
    ALTER COLUMN warnings SET DEFAULT '[]'::jsonb,
    ALTER COLUMN approvals SET DEFAULT '[]'::jsonb,
    ALTER COLUMN performance_metrics SET DEFAULT '{}'::jsonb,
    ALTER COLUMN start_time SET DEFAULT now(),
    ALTER COLUMN started_at SET DEFAULT now(),
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE workflow_triggers
    ALTER COLUMN id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN active SET DEFAULT true,
    ALTER COLUMN timezone SET DEFAULT 'UTC',
    ALTER COLUMN config SET DEFAULT '{}'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE workflow_actions
    ALTER COLUMN id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN position SET DEFAULT 0,
    ALTER COLUMN active SET DEFAULT true,
    ALTER COLUMN config SET DEFAULT '{}'::jsonb,
    ALTER COLUMN on_error SET DEFAULT 'stop',
    ALTER COLUMN max_retries SET DEFAULT 0,
    ALTER COLUMN timeout_ms SET DEFAULT 30000,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT tab.relname, col.attname, col.atthasdef
        FROM pg_catalog.pg_attribute AS col
        JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attnotnull AND NOT col.attisdropped
          AND (tab.relname, col.attname) IN (
            ('workflows', 'id'), ('workflows', 'name'), ('workflows', 'status'), ('workflows', 'execution_count'),
            ('workflows', 'success_count'), ('workflows', 'learning_enabled'), ('workflows', 'created_at'),
            ('workflows', 'updated_at'),
            ('workflow_executions', 'id'), ('workflow_executions', 'status'), ('workflow_executions', 'created_at'),
            ('workflow_executions', 'updated_at'),
            ('workflow_triggers', 'id'), ('workflow_triggers', 'workflow_id'), ('workflow_triggers', 'trigger_type'),
            ('workflow_triggers', 'active'), ('workflow_triggers', 'timezone'), ('workflow_triggers', 'config'),
            ('workflow_triggers', 'created_at'), ('workflow_triggers', 'updated_at'),
            ('workflow_actions', 'id'), ('workflow_actions', 'workflow_id'), ('workflow_actions', 'action_type'),
            ('workflow_actions', 'position'), ('workflow_actions', 'active'), ('workflow_actions', 'config'),
            ('workflow_actions', 'on_error'), ('workflow_actions', 'max_retries'), ('workflow_actions', 'timeout_ms'),
            ('workflow_actions', 'created_at'), ('workflow_actions', 'updated_at'))
    LOOP
        IF loose.atthasdef THEN
            EXECUTE format('UPDATE %I SET %I = DEFAULT WHERE %2$I IS NULL', loose.relname, loose.attname);
        END IF;
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE %I IS NULL)', loose.relname, loose.attname) INTO filled;
        IF filled THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', loose.relname, loose.attname);
        END IF;
    END LOOP;
END
$columns$;

-- A database from before has enabled alone, or both without the trigger: where
-- the two differ, the documented one counts if there is one.
DO $rows$
DECLARE
    stamped boolean;
BEGIN
    IF EXISTS (SELECT FROM workflows WHERE active IS NULL OR enabled IS DISTINCT FROM active) THEN
        -- These rows are only written down another way: updated_at stays.
        stamped := EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.tgrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'workflows'
              AND present.tgname = 'workflows_set_updated_at' AND present.tgenabled = 'O');
        IF stamped THEN
            ALTER TABLE workflows DISABLE TRIGGER workflows_set_updated_at;
        END IF;
        UPDATE workflows SET active = coalesce(active, enabled, status = 'active'), enabled = coalesce(active, enabled, status = 'active')
        WHERE active IS NULL OR enabled IS DISTINCT FROM active;
        IF stamped THEN
            ALTER TABLE workflows ENABLE TRIGGER workflows_set_updated_at;
        END IF;
    END IF;
END
$rows$;
-- The trigger fills in the default. With one on a column, an INSERT that names
-- the other column could not be told from one that names both.
ALTER TABLE workflows
    ALTER COLUMN active DROP DEFAULT,
    ALTER COLUMN active SET NOT NULL,
    ALTER COLUMN enabled DROP DEFAULT;

-- Keys and checks that a table made by hand may lack.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('workflows', 'workflows_pkey', 'PRIMARY KEY (id)'),
            ('workflows', 'workflows_status_check',
             $$CHECK (status IN ('active', 'archived', 'disabled', 'draft', 'paused'))$$),
            ('workflows', 'workflows_version_check', 'CHECK (version > 0)'),
            ('workflows', 'workflows_execution_count_check', 'CHECK (execution_count >= 0)'),
            ('workflows', 'workflows_success_count_check', 'CHECK (success_count >= 0)'),
            ('workflows', 'workflows_average_execution_time_check', 'CHECK (average_execution_time >= 0)'),
            ('workflows', 'workflows_error_rate_check', 'CHECK (error_rate >= 0)'),
            ('workflow_executions', 'workflow_executions_pkey', 'PRIMARY KEY (id)'),
            ('workflow_executions', 'workflow_executions_status_check',
             $$CHECK (status IN ('pending', 'running', 'waiting', 'paused', 'completed', 'failed', 'cancelled', 'timeout'))$$),
            ('workflow_executions', 'workflow_executions_duration_check', 'CHECK (duration >= 0)'),
            ('workflow_triggers', 'workflow_triggers_pkey', 'PRIMARY KEY (id)'),
            ('workflow_triggers', 'workflow_triggers_webhook_key_key', 'UNIQUE (webhook_key)'),
            ('workflow_triggers', 'workflow_triggers_trigger_type_check',
             $$CHECK (trigger_type IN ('schedule', 'webhook', 'event'))$$),
            ('workflow_actions', 'workflow_actions_pkey', 'PRIMARY KEY (id)'),
            ('workflow_actions', 'workflow_actions_action_type_check',
             $$CHECK (action_type IN ('email', 'api_call', 'database_update'))$$),
            ('workflow_actions', 'workflow_actions_on_error_check',
             $$CHECK (on_error IN ('stop', 'continue', 'retry'))$$),
            ('workflow_actions', 'workflow_actions_position_check', 'CHECK (position >= 0)'),
            ('workflow_actions', 'workflow_actions_max_retries_check', 'CHECK (max_retries >= 0)'),
            ('workflow_actions', 'workflow_actions_timeout_ms_check', 'CHECK (timeout_ms > 0)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
              AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%')))
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition;
    END LOOP;
END
$checks$;

-- Keys are added only between columns of one type: a database from before may
-- still have uuid here, and the repairs (FIX_PROJECT_ID_TYPE.sql and its
-- followers) convert those columns and add the keys that wait for it.
DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT *
        FROM (VALUES
            ('workflows', 'workflows_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('workflow_executions', 'workflow_executions_workflow_id_fkey', 'workflow_id', 'workflows', 'id', 'CASCADE'),
            ('workflow_executions', 'workflow_executions_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('workflow_triggers', 'workflow_triggers_workflow_id_fkey', 'workflow_id', 'workflows', 'id', 'CASCADE'),
            ('workflow_actions', 'workflow_actions_workflow_id_fkey', 'workflow_id', 'workflows', 'id', 'CASCADE')
        ) AS wanted (child, name, child_column, parent, parent_column, on_delete)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = wanted.child AND present.conname = wanted.name)
          AND (SELECT count(DISTINCT col.atttypid) = 1
               FROM pg_catalog.pg_attribute AS col
               JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
               WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
                 AND (tab.relname, col.attname) IN ((wanted.child, wanted.child_column), (wanted.parent, wanted.parent_column)))
    LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

CREATE INDEX IF NOT EXISTS idx_workflows_user_id_created_at ON workflows (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_workflows_active ON workflows (user_id) WHERE active;
CREATE INDEX IF NOT EXISTS idx_workflow_executions_workflow_id_started_at
    ON workflow_executions (workflow_id, started_at DESC);
CREATE INDEX IF NOT EXISTS idx_workflow_executions_user_id_started_at
    ON workflow_executions (user_id, started_at DESC);
CREATE INDEX IF NOT EXISTS idx_workflow_executions_open
    ON workflow_executions (status, started_at) WHERE status IN ('pending', 'running', 'waiting', 'paused');
CREATE INDEX IF NOT EXISTS idx_workflow_triggers_workflow_id ON workflow_triggers (workflow_id);
-- What starts workflows is asked for all the time: which schedule is due, who listens to an event.
CREATE INDEX IF NOT EXISTS idx_workflow_triggers_next_run_at
    ON workflow_triggers (next_run_at) WHERE trigger_type = 'schedule' AND active;
CREATE INDEX IF NOT EXISTS idx_workflow_triggers_event_name
    ON workflow_triggers (event_name) WHERE trigger_type = 'event' AND active;
CREATE INDEX IF NOT EXISTS idx_workflow_actions_workflow_id_position ON workflow_actions (workflow_id, position);

COMMENT ON TABLE workflows IS 'Workflows of people.';
COMMENT ON COLUMN workflows.user_id IS 'Whose workflow it is; one of nobody is for the service alone.';
COMMENT ON COLUMN workflows.status IS 'The state of its definition; where it changes and active is not given, active follows: active, or not.';
COMMENT ON COLUMN workflows.active IS 'Whether its triggers start it; enabled is the same.';
COMMENT ON COLUMN workflows.enabled IS 'The application''s name for active, kept equal by a trigger.';
COMMENT ON COLUMN workflows.trigger_type IS 'What starts it, in the application''s own words, where one thing does; workflow_triggers holds any number.';
COMMENT ON COLUMN workflows.trigger_config IS 'What belongs to trigger_type.';
COMMENT ON COLUMN workflows.actions IS 'What it does, as the application''s editor keeps it; workflow_actions has one row for each.';
COMMENT ON COLUMN workflows.triggers IS 'What starts it, as the application''s engine keeps it.';
COMMENT ON COLUMN workflows.execution_count IS 'Runs, as the application counts them.';
COMMENT ON COLUMN workflows.average_execution_time IS 'Milliseconds, as the application keeps it.';
COMMENT ON COLUMN workflows.learning_enabled IS 'Whether the application may adapt it.';
COMMENT ON COLUMN workflows.adaptations IS 'What the application adapted.';
COMMENT ON TABLE workflow_executions IS 'Runs of workflows. The service writes it; a person reads those of their workflows.';
COMMENT ON COLUMN workflow_executions.user_id IS 'Whose run it is; where it is not given, the workflow''s owner.';
COMMENT ON COLUMN workflow_executions.trigger_id IS 'What started it: an id of the application''s, not a key.';
COMMENT ON COLUMN workflow_executions.duration IS 'Milliseconds.';
COMMENT ON COLUMN workflow_executions.start_time IS 'When it began; the application writes started_at.';
COMMENT ON COLUMN workflow_executions.end_time IS 'When it ended; the application writes completed_at.';
COMMENT ON TABLE workflow_triggers IS 'What starts a workflow: a schedule, a webhook or an event.';
COMMENT ON COLUMN workflow_triggers.schedule IS 'Of a schedule: a cron expression, read in timezone.';
COMMENT ON COLUMN workflow_triggers.webhook_key IS 'Of a webhook: the last part of its address. Who knows it can start the workflow.';
COMMENT ON COLUMN workflow_triggers.event_name IS 'Of an event: the one that it listens to.';
COMMENT ON COLUMN workflow_triggers.next_run_at IS 'Of a schedule: when it is due.';
COMMENT ON TABLE workflow_actions IS 'What a workflow does, step by step: an email, an API call or a database update.';
COMMENT ON COLUMN workflow_actions.position IS 'Its place in the order.';
COMMENT ON COLUMN workflow_actions.on_error IS 'What follows an error: stop the run, continue with the next action, or retry up to max_retries times.';

CREATE OR REPLACE FUNCTION workflows_sync_active() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.active <> NEW.enabled THEN
            RAISE EXCEPTION 'workflows.active (%) and workflows.enabled (%) are one value under two names, and differ', NEW.active, NEW.enabled
                USING ERRCODE = 'check_violation', HINT = 'Give one of them, or both alike.';
        END IF;
        NEW.active := coalesce(NEW.active, NEW.enabled, NEW.status = 'active', true);
        NEW.enabled := NEW.active;
    ELSIF NEW.active IS NOT DISTINCT FROM OLD.active AND NEW.enabled IS NOT DISTINCT FROM OLD.enabled THEN
        IF NEW.status <> OLD.status THEN
            NEW.active := NEW.status = 'active';
            NEW.enabled := NEW.active;
        END IF;
    ELSIF NEW.active IS NOT DISTINCT FROM OLD.active THEN
        NEW.active := NEW.enabled;
    ELSIF NEW.enabled IS NOT DISTINCT FROM OLD.enabled THEN
        NEW.enabled := NEW.active;
    ELSIF NEW.active IS DISTINCT FROM NEW.enabled THEN
        RAISE EXCEPTION 'workflows.active (%) and workflows.enabled (%) are one value under two names, and differ', NEW.active, NEW.enabled
            USING ERRCODE = 'check_violation', HINT = 'Change one of them, or both alike.';
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION workflows_sync_active() IS
    'Trigger: keeps active and the application''s enabled equal: the changed one wins; both changed and different is an error. Where neither is given, they follow the status.';

-- The application says the workflow, and asks by person.
CREATE OR REPLACE FUNCTION workflow_executions_fill_owner() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
BEGIN
    IF NEW.user_id IS NULL AND NEW.workflow_id IS NOT NULL THEN
        SELECT flow.user_id INTO NEW.user_id FROM workflows AS flow WHERE flow.id = NEW.workflow_id;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION workflow_executions_fill_owner() IS 'Trigger: a run whose person is not given is its workflow''s owner''s.';

CREATE OR REPLACE TRIGGER workflows_sync_active
    BEFORE INSERT OR UPDATE OF active, enabled, status ON workflows
    FOR EACH ROW EXECUTE FUNCTION workflows_sync_active();

CREATE OR REPLACE TRIGGER workflow_executions_fill_owner
    BEFORE INSERT ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION workflow_executions_fill_owner();

CREATE OR REPLACE TRIGGER workflows_set_updated_at
    BEFORE UPDATE ON workflows
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER workflow_executions_set_updated_at
    BEFORE UPDATE ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER workflow_triggers_set_updated_at
    BEFORE UPDATE ON workflow_triggers
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER workflow_actions_set_updated_at
    BEFORE UPDATE ON workflow_actions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE workflows ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_triggers ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_actions ENABLE ROW LEVEL SECURITY;

-- A policy is made only where the columns that it compares are text: on a
-- database from before they may wait for the repairs. Row level security without
-- its policy is closed, never open.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('workflows', 'workflows_owner',
             ARRAY['workflows.user_id'],
             $$USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))$$),
            ('workflow_executions', 'workflow_executions_owner_read',
             ARRAY['workflow_executions.workflow_id', 'workflows.id', 'workflows.user_id'],
             $$FOR SELECT USING (EXISTS (SELECT FROM workflows AS w WHERE w.id = workflow_executions.workflow_id AND w.user_id = (SELECT requesting_user_id())))$$),
            ('workflow_triggers', 'workflow_triggers_owner',
             ARRAY['workflow_triggers.workflow_id', 'workflows.id', 'workflows.user_id'],
             $$USING (EXISTS (SELECT FROM workflows AS w WHERE w.id = workflow_triggers.workflow_id AND w.user_id = (SELECT requesting_user_id())))
               WITH CHECK (EXISTS (SELECT FROM workflows AS w WHERE w.id = workflow_triggers.workflow_id AND w.user_id = (SELECT requesting_user_id())))$$),
            ('workflow_actions', 'workflow_actions_owner',
             ARRAY['workflow_actions.workflow_id', 'workflows.id', 'workflows.user_id'],
             $$USING (EXISTS (SELECT FROM workflows AS w WHERE w.id = workflow_actions.workflow_id AND w.user_id = (SELECT requesting_user_id())))
               WITH CHECK (EXISTS (SELECT FROM workflows AS w WHERE w.id = workflow_actions.workflow_id AND w.user_id = (SELECT requesting_user_id())))$$)
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policies AS present
            WHERE present.schemaname = current_schema() AND present.tablename = listed.tab AND present.policyname = listed.name)
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND t.relname || '.' || col.attname = ANY (listed.compares) AND col.atttypid <> 'pg_catalog.text'::regtype)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

-- The hosted platform's default privileges give its roles everything on what is
-- new: it is taken back, and each role gets what it needs.
DO $grants$
DECLARE
    api_role text;
    granted record;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('workflows', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('workflow_executions', 'SELECT', 'SELECT, INSERT, UPDATE, DELETE'),
            ('workflow_triggers', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('workflow_actions', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE')
        ) AS listed (name, people, service)
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %I FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %I FROM %I', granted.name, api_role);
            IF api_role = 'service_role' THEN
                EXECUTE format('GRANT %s ON TABLE %I TO service_role', granted.service, granted.name);
            ELSIF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON TABLE %I TO authenticated', granted.people, granted.name);
            END IF;
        END LOOP;
    END LOOP;
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('workflows_sync_active()', '{}'::text[]),
            ('workflow_executions_fill_owner()', '{}')
        ) AS listed (name, callers)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', granted.name, api_role);
            IF api_role = ANY (granted.callers) THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', granted.name, api_role);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;
