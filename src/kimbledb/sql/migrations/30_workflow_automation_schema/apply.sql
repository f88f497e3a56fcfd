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
    starts_at timestamptz,
    webhook_key text,
    event_name text,
    config jsonb NOT NULL DEFAULT '{}'::jsonb,
    next_run_at timestamptz,
    last_triggered_at timestamptz,
    last_error text,
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
COMMENT ON COLUMN workflow_triggers.schedule IS
    'Of a schedule: a cron line, or what else read_schedule() reads, by the clock of timezone.';
COMMENT ON COLUMN workflow_triggers.starts_at IS
    'Of a schedule: no run is before this, and a period counts from it; NULL for created_at.';
COMMENT ON COLUMN workflow_triggers.webhook_key IS
    'Of a webhook: the last part of its address. Who knows it can start the workflow.';
COMMENT ON COLUMN workflow_triggers.event_name IS 'Of an event: the one that it listens to.';
COMMENT ON COLUMN workflow_triggers.next_run_at IS
    'Of a schedule: when it is due. Computed where a statement does not set it; NULL for one that is not active.';
COMMENT ON COLUMN workflow_triggers.last_error IS 'Why claim_workflow_triggers() has turned it off.';
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

CREATE FUNCTION workflow_trigger_next_run(
    schedule text,
    after timestamptz,
    zone text,
    starts_at timestamptz,
    created_at timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    -- A period counts from something; a schedule without a time of day, such as mondays, comes at midnight.
    RETURN next_scheduled(schedule, after, zone,
        coalesce(starts_at, CASE WHEN (read_schedule(schedule)).step IS NOT NULL THEN created_at END));
END
$function$;
COMMENT ON FUNCTION workflow_trigger_next_run(text, timestamptz, text, timestamptz, timestamptz) IS
    'When the schedule of a trigger is due for the first time after that.';

CREATE FUNCTION workflow_triggers_plan() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    former workflow_triggers;
    missing text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        former := OLD;
    END IF;
    IF NEW.active AND former.active IS NOT TRUE
       OR (NEW.trigger_type, NEW.schedule, NEW.timezone, NEW.webhook_key, NEW.event_name) IS DISTINCT FROM
          (former.trigger_type, former.schedule, former.timezone, former.webhook_key, former.event_name)
    THEN
        missing := CASE WHEN NEW.trigger_type = 'schedule' AND coalesce(btrim(NEW.schedule), '') = '' THEN 'schedule'
                        WHEN NEW.trigger_type = 'webhook' AND coalesce(btrim(NEW.webhook_key), '') = '' THEN 'webhook_key'
                        WHEN NEW.trigger_type = 'event' AND coalesce(btrim(NEW.event_name), '') = '' THEN 'event_name' END;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'a trigger of type % needs workflow_triggers.%', NEW.trigger_type, missing
                USING ERRCODE = 'check_violation', TABLE = 'workflow_triggers', COLUMN = missing;
        END IF;
        PERFORM check_schedule(CASE WHEN NEW.trigger_type = 'schedule' THEN NEW.schedule END, NEW.timezone);
        NEW.last_error := NULL;
    END IF;
    IF NEW.trigger_type <> 'schedule' OR NOT NEW.active THEN
        NEW.next_run_at := NULL;
    ELSIF NEW.next_run_at IS NOT DISTINCT FROM former.next_run_at
          AND (NEW.active, NEW.trigger_type, NEW.schedule, NEW.timezone, NEW.starts_at) IS DISTINCT FROM
              (former.active, former.trigger_type, former.schedule, former.timezone, former.starts_at)
    THEN
        NEW.next_run_at := workflow_trigger_next_run(NEW.schedule, clock_timestamp(), NEW.timezone, NEW.starts_at, NEW.created_at);
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION workflow_triggers_plan() IS
    'Trigger: sees that a trigger has what its type needs, that its schedule is understood and its time zone known, and computes the next run.';

CREATE FUNCTION workflows_plan_triggers() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    UPDATE workflow_triggers AS starter
    SET next_run_at = workflow_trigger_next_run(starter.schedule, clock_timestamp(), starter.timezone, starter.starts_at, starter.created_at)
    WHERE starter.workflow_id = NEW.id AND starter.trigger_type = 'schedule' AND starter.active AND starter.next_run_at <= clock_timestamp();
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION workflows_plan_triggers() IS
    'Trigger: a workflow that becomes active does not make up for what was due before.';

CREATE FUNCTION claim_workflow_triggers(max_runs integer DEFAULT 20) RETURNS SETOF workflow_executions
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    due workflow_triggers;
    run workflow_executions;
    next_run timestamptz;
    problem text;
BEGIN
    -- SKIP LOCKED: what one caller has, no other gets, and nobody waits.
    FOR due IN
        SELECT starter.*
        FROM workflow_triggers AS starter
        JOIN workflows AS flow ON flow.id = starter.workflow_id
        WHERE starter.trigger_type = 'schedule' AND starter.active AND flow.active
          AND (starter.next_run_at <= clock_timestamp() OR starter.next_run_at IS NULL)
        ORDER BY starter.next_run_at, starter.id
        LIMIT max_runs
        FOR UPDATE OF starter SKIP LOCKED
    LOOP
        -- Slots that passed meanwhile are left out. A schedule from before it was checked must not keep the others from their runs.
        next_run := NULL;
        problem := NULL;
        BEGIN
            next_run := workflow_trigger_next_run(due.schedule, clock_timestamp(), due.timezone, due.starts_at, due.created_at);
        EXCEPTION WHEN data_exception THEN
            problem := SQLERRM;
        END;
        UPDATE workflow_triggers AS starter
        SET next_run_at = next_run,
            last_triggered_at = CASE WHEN due.next_run_at IS NULL THEN starter.last_triggered_at ELSE clock_timestamp() END,
            active = next_run IS NOT NULL,
            last_error = CASE WHEN next_run IS NULL THEN coalesce(problem, 'the schedule has no further slot') END
        WHERE starter.id = due.id;
        IF due.next_run_at IS NOT NULL THEN
            INSERT INTO workflow_executions (workflow_id, trigger_id, trigger_data)
            VALUES (due.workflow_id, due.id, jsonb_build_object('type', due.trigger_type, 'scheduled_for', due.next_run_at))
            RETURNING * INTO run;
            RETURN NEXT run;
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION claim_workflow_triggers(integer) IS
    'Takes the schedules that are due, each by one caller only, plans their next runs, and returns a pending execution for each: '
    'a run whose caller dies is still there to be seen.';

CREATE TRIGGER workflow_triggers_plan
    BEFORE INSERT OR UPDATE OF trigger_type, active, schedule, timezone, starts_at, webhook_key, event_name ON workflow_triggers
    FOR EACH ROW EXECUTE FUNCTION workflow_triggers_plan();

CREATE TRIGGER workflows_plan_triggers
    AFTER UPDATE OF active, enabled, status ON workflows
    FOR EACH ROW WHEN (NEW.active AND NOT OLD.active) EXECUTE FUNCTION workflows_plan_triggers();

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
