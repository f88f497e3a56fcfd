-- workflow_automation_schema.sql
--
-- Workflows in n8n's manner: what starts one (workflow_triggers), what it does
-- (workflow_actions), and how its runs went (workflow_executions). A workflow
-- has an owner; its parts are reached through it.
--
-- active is the documented column; the application says enabled. Both work, for
-- reading and writing, and a trigger keeps them equal.

CREATE TABLE workflows (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    name text NOT NULL,
    description text,
    version integer DEFAULT 1,
    status text NOT NULL DEFAULT 'active',
    -- A trigger fills in the default. With one on a column, an INSERT that names the
    -- other column could not be told from one that names both.
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
    CONSTRAINT workflows_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT workflows_status_check CHECK (status IN ('active', 'archived', 'disabled', 'draft', 'paused')),
    CONSTRAINT workflows_version_check CHECK (version > 0),
    CONSTRAINT workflows_execution_count_check CHECK (execution_count >= 0),
    CONSTRAINT workflows_success_count_check CHECK (success_count >= 0),
    CONSTRAINT workflows_average_execution_time_check CHECK (average_execution_time >= 0),
    CONSTRAINT workflows_error_rate_check CHECK (error_rate >= 0)
);

CREATE TABLE workflow_executions (
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
    CONSTRAINT workflow_executions_workflow_id_fkey
        FOREIGN KEY (workflow_id) REFERENCES workflows (id) ON DELETE CASCADE,
    CONSTRAINT workflow_executions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT workflow_executions_status_check CHECK (status IN (
        'pending', 'running', 'waiting', 'paused', 'completed', 'failed', 'cancelled', 'timeout')),
    CONSTRAINT workflow_executions_duration_check CHECK (duration >= 0)
);

CREATE TABLE workflow_triggers (
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
    CONSTRAINT workflow_triggers_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES workflows (id) ON DELETE CASCADE,
    CONSTRAINT workflow_triggers_trigger_type_check CHECK (trigger_type IN ('schedule', 'webhook', 'event'))
);

CREATE TABLE workflow_actions (
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
    CONSTRAINT workflow_actions_workflow_id_fkey FOREIGN KEY (workflow_id) REFERENCES workflows (id) ON DELETE CASCADE,
    CONSTRAINT workflow_actions_action_type_check CHECK (action_type IN ('email', 'api_call', 'database_update')),
    CONSTRAINT workflow_actions_on_error_check CHECK (on_error IN ('stop', 'continue', 'retry')),
    CONSTRAINT workflow_actions_position_check CHECK (position >= 0),
    CONSTRAINT workflow_actions_max_retries_check CHECK (max_retries >= 0),
    CONSTRAINT workflow_actions_timeout_ms_check CHECK (timeout_ms > 0)
);

CREATE INDEX idx_workflows_user_id_created_at ON workflows (user_id, created_at DESC);
CREATE INDEX idx_workflows_active ON workflows (user_id) WHERE active;
CREATE INDEX idx_workflow_executions_workflow_id_started_at ON workflow_executions (workflow_id, started_at DESC);
CREATE INDEX idx_workflow_executions_user_id_started_at ON workflow_executions (user_id, started_at DESC);
CREATE INDEX idx_workflow_executions_open
    ON workflow_executions (status, started_at) WHERE status IN ('pending', 'running', 'waiting', 'paused');
CREATE INDEX idx_workflow_triggers_workflow_id ON workflow_triggers (workflow_id);
-- What starts workflows is asked for all the time: which schedule is due, who listens to an event.
CREATE INDEX idx_workflow_triggers_next_run_at
    ON workflow_triggers (next_run_at) WHERE trigger_type = 'schedule' AND active;
CREATE INDEX idx_workflow_triggers_event_name ON workflow_triggers (event_name) WHERE trigger_type = 'event' AND active;
CREATE INDEX idx_workflow_actions_workflow_id_position ON workflow_actions (workflow_id, position);

COMMENT ON TABLE workflows IS 'Workflows of people.';
COMMENT ON COLUMN workflows.user_id IS 'Whose workflow it is; one of nobody is for the service alone.';
COMMENT ON COLUMN workflows.status IS
    'The state of its definition; where it changes and active is not given, active follows: active, or not.';
COMMENT ON COLUMN workflows.active IS 'Whether its triggers start it; enabled is the same.';
COMMENT ON COLUMN workflows.enabled IS 'The application''s name for active, kept equal by a trigger.';
COMMENT ON COLUMN workflows.trigger_type IS
    'What starts it, in the application''s own words, where one thing does; workflow_triggers holds any number.';
COMMENT ON COLUMN workflows.trigger_config IS 'What belongs to trigger_type.';
COMMENT ON COLUMN workflows.actions IS
    'What it does, as the application''s editor keeps it; workflow_actions has one row for each.';
COMMENT ON COLUMN workflows.triggers IS 'What starts it, as the application''s engine keeps it.';
COMMENT ON COLUMN workflows.execution_count IS 'Runs, as the application counts them.';
COMMENT ON COLUMN workflows.average_execution_time IS 'Milliseconds, as the application keeps it.';
COMMENT ON COLUMN workflows.learning_enabled IS 'Whether the application may adapt it.';
COMMENT ON COLUMN workflows.adaptations IS 'What the application adapted.';
COMMENT ON TABLE workflow_executions IS
    'Runs of workflows. The service writes it; a person reads those of their workflows.';
COMMENT ON COLUMN workflow_executions.user_id IS 'Whose run it is; where it is not given, the workflow''s owner.';
COMMENT ON COLUMN workflow_executions.trigger_id IS 'What started it: an id of the application''s, not a key.';
COMMENT ON COLUMN workflow_executions.duration IS 'Milliseconds.';
COMMENT ON COLUMN workflow_executions.start_time IS 'When it began; the application writes started_at.';
COMMENT ON COLUMN workflow_executions.end_time IS 'When it ended; the application writes completed_at.';
COMMENT ON TABLE workflow_triggers IS 'What starts a workflow: a schedule, a webhook or an event.';
COMMENT ON COLUMN workflow_triggers.schedule IS 'Of a schedule: a cron expression, read in timezone.';
COMMENT ON COLUMN workflow_triggers.webhook_key IS
    'Of a webhook: the last part of its address. Who knows it can start the workflow.';
COMMENT ON COLUMN workflow_triggers.event_name IS 'Of an event: the one that it listens to.';
COMMENT ON COLUMN workflow_triggers.next_run_at IS 'Of a schedule: when it is due.';
COMMENT ON TABLE workflow_actions IS 'What a workflow does, step by step: an email, an API call or a database update.';
COMMENT ON COLUMN workflow_actions.position IS 'Its place in the order.';
COMMENT ON COLUMN workflow_actions.on_error IS
    'What follows an error: stop the run, continue with the next action, or retry up to max_retries times.';

CREATE FUNCTION workflows_sync_active() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
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
    'Trigger: keeps active and the application''s enabled equal: the changed one wins; '
    'both changed and different is an error. Where neither is given, they follow the status.';

-- The application says the workflow, and asks by person.
CREATE FUNCTION workflow_executions_fill_owner() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    IF NEW.user_id IS NULL AND NEW.workflow_id IS NOT NULL THEN
        SELECT flow.user_id INTO NEW.user_id FROM workflows AS flow WHERE flow.id = NEW.workflow_id;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION workflow_executions_fill_owner() IS
    'Trigger: a run whose person is not given is its workflow''s owner''s.';

CREATE TRIGGER workflows_sync_active
    BEFORE INSERT OR UPDATE OF active, enabled, status ON workflows
    FOR EACH ROW EXECUTE FUNCTION workflows_sync_active();

CREATE TRIGGER workflow_executions_fill_owner
    BEFORE INSERT ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION workflow_executions_fill_owner();

CREATE TRIGGER workflows_set_updated_at
    BEFORE UPDATE ON workflows
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER workflow_executions_set_updated_at
    BEFORE UPDATE ON workflow_executions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER workflow_triggers_set_updated_at
    BEFORE UPDATE ON workflow_triggers
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER workflow_actions_set_updated_at
    BEFORE UPDATE ON workflow_actions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE workflows ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_triggers ENABLE ROW LEVEL SECURITY;
ALTER TABLE workflow_actions ENABLE ROW LEVEL SECURITY;

CREATE POLICY workflows_owner ON workflows
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY workflow_executions_owner_read ON workflow_executions
    FOR SELECT USING (EXISTS (
        SELECT FROM workflows AS w
        WHERE w.id = workflow_executions.workflow_id AND w.user_id = (SELECT requesting_user_id())));
CREATE POLICY workflow_triggers_owner ON workflow_triggers
    USING (EXISTS (
        SELECT FROM workflows AS w
        WHERE w.id = workflow_triggers.workflow_id AND w.user_id = (SELECT requesting_user_id())))
    WITH CHECK (EXISTS (
        SELECT FROM workflows AS w
        WHERE w.id = workflow_triggers.workflow_id AND w.user_id = (SELECT requesting_user_id())));
CREATE POLICY workflow_actions_owner ON workflow_actions
    USING (EXISTS (
        SELECT FROM workflows AS w
        WHERE w.id = workflow_actions.workflow_id AND w.user_id = (SELECT requesting_user_id())))
    WITH CHECK (EXISTS (
        SELECT FROM workflows AS w
        WHERE w.id = workflow_actions.workflow_id AND w.user_id = (SELECT requesting_user_id())));
