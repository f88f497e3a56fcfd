-- autonomous-agent-schema.sql
--
-- What the agent is to do (agent_tasks, a queue by priority and time), what it
-- found (agent_findings), and what it did (agent_execution_log, filled by a
-- trigger). For the service alone: no policy, and no grant to people.

CREATE TABLE IF NOT EXISTS agent_tasks (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    task_type text NOT NULL,
    priority integer NOT NULL DEFAULT 5,
    status text NOT NULL DEFAULT 'pending',
    title text,
    description text,
    file_paths text[] DEFAULT '{}',
    metadata jsonb DEFAULT '{}'::jsonb,
    scheduled_for timestamptz,
    recurrence text,
    recurs_from uuid,
    started_at timestamptz,
    completed_at timestamptz,
    duration_ms integer,
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 3,
    result text,
    changes_made text[] DEFAULT '{}',
    tests_passed boolean,
    error_message text,
    user_id text,
    created_by text,
    is_active boolean DEFAULT true,
    detected_at timestamptz DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT agent_tasks_pkey PRIMARY KEY (id),
    CONSTRAINT agent_tasks_recurs_from_key UNIQUE (recurs_from),
    CONSTRAINT agent_tasks_task_type_check CHECK (task_type IN (
        'analyze_logs', 'code_cleanup', 'dependency_update', 'documentation_update', 'fix_bugs',
        'monitor_errors', 'optimize_performance', 'run_tests', 'security_scan')),
    CONSTRAINT agent_tasks_status_check CHECK (status IN ('pending', 'in_progress', 'completed', 'failed', 'skipped')),
    CONSTRAINT agent_tasks_duration_ms_check CHECK (duration_ms >= 0),
    CONSTRAINT agent_tasks_attempts_check CHECK (attempts >= 0),
    CONSTRAINT agent_tasks_max_attempts_check CHECK (max_attempts >= 0)
);
ALTER TABLE agent_tasks
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS task_type text,
    ADD COLUMN IF NOT EXISTS priority integer NOT NULL DEFAULT 5,
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS file_paths text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS scheduled_for timestamptz,
    ADD COLUMN IF NOT EXISTS recurrence text,
    ADD COLUMN IF NOT EXISTS recurs_from uuid,
    ADD COLUMN IF NOT EXISTS started_at timestamptz,
    ADD COLUMN IF NOT EXISTS completed_at timestamptz,
    ADD COLUMN IF NOT EXISTS duration_ms integer,
    ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS max_attempts integer NOT NULL DEFAULT 3,
    ADD COLUMN IF NOT EXISTS result text,
    ADD COLUMN IF NOT EXISTS changes_made text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS tests_passed boolean,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS created_by text,
    ADD COLUMN IF NOT EXISTS is_active boolean DEFAULT true,
    ADD COLUMN IF NOT EXISTS detected_at timestamptz DEFAULT now(),
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS agent_findings (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    finding_type text NOT NULL DEFAULT 'insight',
    type text,
    severity text NOT NULL DEFAULT 'info',
    status text NOT NULL DEFAULT 'open',
    title text,
    description text,
    location text,
    line_numbers integer[],
    detection_method text,
    detected_at timestamptz NOT NULL DEFAULT now(),
    evidence jsonb DEFAULT '{}'::jsonb,
    action text,
    resolution text,
    fixed_at timestamptz,
    fixed_by text,
    related_task_id uuid,
    impact_score numeric(3,2),
    affected_users integer,
    user_id text,
    is_active boolean DEFAULT true,
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT agent_findings_pkey PRIMARY KEY (id),
    CONSTRAINT agent_findings_finding_type_check CHECK (finding_type IN (
        'bug', 'error', 'improvement', 'insight', 'optimization', 'performance', 'security',
        'warning')),
    CONSTRAINT agent_findings_severity_check CHECK (severity IN ('critical', 'high', 'medium', 'low', 'info')),
    CONSTRAINT agent_findings_status_check CHECK (status IN (
        'open', 'investigating', 'fixed', 'wont_fix', 'false_positive')),
    CONSTRAINT agent_findings_impact_score_check CHECK (impact_score >= 0),
    CONSTRAINT agent_findings_affected_users_check CHECK (affected_users >= 0)
);
ALTER TABLE agent_findings
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS finding_type text NOT NULL DEFAULT 'insight',
    ADD COLUMN IF NOT EXISTS type text,
    ADD COLUMN IF NOT EXISTS severity text NOT NULL DEFAULT 'info',
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'open',
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS location text,
    ADD COLUMN IF NOT EXISTS line_numbers integer[],
    ADD COLUMN IF NOT EXISTS detection_method text,
    ADD COLUMN IF NOT EXISTS detected_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS evidence jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS action text,
    ADD COLUMN IF NOT EXISTS resolution text,
    ADD COLUMN IF NOT EXISTS fixed_at timestamptz,
    ADD COLUMN IF NOT EXISTS fixed_by text,
    ADD COLUMN IF NOT EXISTS related_task_id uuid,
    ADD COLUMN IF NOT EXISTS impact_score numeric(3,2),
    ADD COLUMN IF NOT EXISTS affected_users integer,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS is_active boolean DEFAULT true,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS agent_execution_log (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    task_id uuid,
    task_type text,
    event text NOT NULL DEFAULT 'note',
    level text NOT NULL DEFAULT 'info',
    message text,
    attempt integer,
    duration_ms integer,
    details jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT agent_execution_log_pkey PRIMARY KEY (id),
    CONSTRAINT agent_execution_log_level_check CHECK (level IN ('debug', 'info', 'warning', 'error')),
    CONSTRAINT agent_execution_log_attempt_check CHECK (attempt >= 0),
    CONSTRAINT agent_execution_log_duration_ms_check CHECK (duration_ms >= 0)
);
ALTER TABLE agent_execution_log
    ADD COLUMN IF NOT EXISTS id bigint GENERATED BY DEFAULT AS IDENTITY,
    ADD COLUMN IF NOT EXISTS task_id uuid,
    ADD COLUMN IF NOT EXISTS task_type text,
    ADD COLUMN IF NOT EXISTS event text NOT NULL DEFAULT 'note',
    ADD COLUMN IF NOT EXISTS level text NOT NULL DEFAULT 'info',
    ADD COLUMN IF NOT EXISTS message text,
    ADD COLUMN IF NOT EXISTS attempt integer,
    ADD COLUMN IF NOT EXISTS duration_ms integer,
    ADD COLUMN IF NOT EXISTS details jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have a column without its default, or with NULL in it:
-- it gets the default, and NOT NULL where no NULL is left.
ALTER TABLE agent_tasks
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN priority SET DEFAULT 5,
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN file_paths SET DEFAULT '{}',
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN attempts SET DEFAULT 0,
    ALTER COLUMN max_attempts SET DEFAULT 3,
    ALTER COLUMN changes_made SET DEFAULT '{}',
    ALTER COLUMN is_active SET DEFAULT true,
    ALTER COLUMN detected_at SET DEFAULT now(),
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE agent_findings
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN finding_type SET DEFAULT 'insight',
    ALTER COLUMN severity SET DEFAULT 'info',
    ALTER COLUMN status SET DEFAULT 'open',
    ALTER COLUMN detected_at SET DEFAULT now(),
    ALTER COLUMN evidence SET DEFAULT '{}'::jsonb,
    ALTER COLUMN is_active SET DEFAULT true,
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE agent_execution_log
    ALTER COLUMN event SET DEFAULT 'note',
    ALTER COLUMN level SET DEFAULT 'info',
    ALTER COLUMN details SET DEFAULT '{}'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now();
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
            ('agent_tasks', 'id'), ('agent_tasks', 'task_type'), ('agent_tasks', 'priority'),
            ('agent_tasks', 'status'), ('agent_tasks', 'attempts'), ('agent_tasks', 'max_attempts'),
            ('agent_tasks', 'created_at'), ('agent_tasks', 'updated_at'),
            ('agent_findings', 'id'), ('agent_findings', 'finding_type'), ('agent_findings', 'severity'),
            ('agent_findings', 'status'), ('agent_findings', 'detected_at'), ('agent_findings', 'created_at'),
            ('agent_findings', 'updated_at'),
            ('agent_execution_log', 'event'), ('agent_execution_log', 'level'), ('agent_execution_log', 'details'),
            ('agent_execution_log', 'created_at'))
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

-- Keys and checks that a table made by hand may lack.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('agent_tasks', 'agent_tasks_pkey', 'PRIMARY KEY (id)'),
            ('agent_tasks', 'agent_tasks_recurs_from_key', 'UNIQUE (recurs_from)'),
            ('agent_tasks', 'agent_tasks_task_type_check',
             $$CHECK (task_type IN ('analyze_logs', 'code_cleanup', 'dependency_update', 'documentation_update', 'fix_bugs', 'monitor_errors', 'optimize_performance', 'run_tests', 'security_scan'))$$),
            ('agent_tasks', 'agent_tasks_status_check',
             $$CHECK (status IN ('pending', 'in_progress', 'completed', 'failed', 'skipped'))$$),
            ('agent_tasks', 'agent_tasks_duration_ms_check', 'CHECK (duration_ms >= 0)'),
            ('agent_tasks', 'agent_tasks_attempts_check', 'CHECK (attempts >= 0)'),
            ('agent_tasks', 'agent_tasks_max_attempts_check', 'CHECK (max_attempts >= 0)'),
            ('agent_findings', 'agent_findings_pkey', 'PRIMARY KEY (id)'),
            ('agent_findings', 'agent_findings_finding_type_check',
             $$CHECK (finding_type IN ('bug', 'error', 'improvement', 'insight', 'optimization', 'performance', 'security', 'warning'))$$),
            ('agent_findings', 'agent_findings_severity_check',
             $$CHECK (severity IN ('critical', 'high', 'medium', 'low', 'info'))$$),
            ('agent_findings', 'agent_findings_status_check',
             $$CHECK (status IN ('open', 'investigating', 'fixed', 'wont_fix', 'false_positive'))$$),
            ('agent_findings', 'agent_findings_impact_score_check', 'CHECK (impact_score >= 0)'),
            ('agent_findings', 'agent_findings_affected_users_check', 'CHECK (affected_users >= 0)'),
            ('agent_execution_log', 'agent_execution_log_pkey', 'PRIMARY KEY (id)'),
            ('agent_execution_log', 'agent_execution_log_level_check',
             $$CHECK (level IN ('debug', 'info', 'warning', 'error'))$$),
            ('agent_execution_log', 'agent_execution_log_attempt_check', 'CHECK (attempt >= 0)'),
            ('agent_execution_log', 'agent_execution_log_duration_ms_check', 'CHECK (duration_ms >= 0)')
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
            ('agent_tasks', 'agent_tasks_user_id_fkey', 'user_id', 'users', 'id', 'SET NULL'),
            ('agent_tasks', 'agent_tasks_recurs_from_fkey', 'recurs_from', 'agent_tasks', 'id', 'SET NULL'),
            ('agent_findings', 'agent_findings_user_id_fkey', 'user_id', 'users', 'id', 'SET NULL'),
            ('agent_findings', 'agent_findings_related_task_id_fkey', 'related_task_id', 'agent_tasks', 'id', 'NO ACTION'),
            ('agent_execution_log', 'agent_execution_log_task_id_fkey', 'task_id', 'agent_tasks', 'id', 'SET NULL')
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

-- What claim_agent_task() looks through, in its order: few rows of many.
CREATE INDEX IF NOT EXISTS idx_agent_tasks_due
    ON agent_tasks (priority DESC, scheduled_for NULLS FIRST, created_at) WHERE status IN ('pending', 'in_progress');
CREATE INDEX IF NOT EXISTS idx_agent_tasks_status_created_at ON agent_tasks (status, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_tasks_task_type_created_at ON agent_tasks (task_type, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_tasks_completed_at ON agent_tasks (completed_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_tasks_user_id_created_at ON agent_tasks (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_findings_status_detected_at ON agent_findings (status, detected_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_findings_finding_type_detected_at
    ON agent_findings (finding_type, detected_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_findings_severity_detected_at ON agent_findings (severity, detected_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_findings_detected_at ON agent_findings (detected_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_findings_detection_method ON agent_findings (detection_method, detected_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_findings_title ON agent_findings (title);
CREATE INDEX IF NOT EXISTS idx_agent_findings_related_task_id ON agent_findings (related_task_id);
CREATE INDEX IF NOT EXISTS idx_agent_findings_user_id_created_at ON agent_findings (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_agent_execution_log_task_id_created_at ON agent_execution_log (task_id, created_at);
CREATE INDEX IF NOT EXISTS idx_agent_execution_log_created_at ON agent_execution_log (created_at DESC);

COMMENT ON TABLE agent_tasks IS 'What the agent is to do: a queue by priority and time. For the service alone.';
COMMENT ON COLUMN agent_tasks.priority IS 'The greater, the sooner.';
COMMENT ON COLUMN agent_tasks.scheduled_for IS 'Not to be begun before this; NULL for at once.';
COMMENT ON COLUMN agent_tasks.recurrence IS 'How often: hourly, daily, weekly, monthly, yearly, or an interval such as 15 minutes; NULL for once. What agent_next_run() does not understand is the application''s to schedule.';
COMMENT ON COLUMN agent_tasks.recurs_from IS 'The task of which this one is the next run.';
COMMENT ON COLUMN agent_tasks.attempts IS 'How often it was begun.';
COMMENT ON COLUMN agent_tasks.max_attempts IS 'How often it may be begun.';
COMMENT ON COLUMN agent_tasks.changes_made IS 'What it changed, one entry each.';
COMMENT ON COLUMN agent_tasks.created_by IS 'Who or what asked for it; a name, not a key.';
COMMENT ON COLUMN agent_tasks.user_id IS 'The person whom it concerns, where it concerns one.';
COMMENT ON COLUMN agent_tasks.is_active IS 'Whether it may be begun.';
COMMENT ON COLUMN agent_tasks.detected_at IS 'When the need for it was seen.';
COMMENT ON TABLE agent_findings IS 'What the agent found. For the service alone.';
COMMENT ON COLUMN agent_findings.type IS 'A kind in the application''s own words, beside finding_type.';
COMMENT ON COLUMN agent_findings.location IS 'Where, such as a file or an endpoint.';
COMMENT ON COLUMN agent_findings.action IS 'What is to be done about it, in the application''s own words.';
COMMENT ON COLUMN agent_findings.related_task_id IS 'The task that deals with it; such a task cannot be deleted.';
COMMENT ON COLUMN agent_findings.impact_score IS 'How much it matters, by the agent''s own measure.';
COMMENT ON COLUMN agent_findings.user_id IS 'The person whom it concerns, where it concerns one.';
COMMENT ON TABLE agent_execution_log IS 'What the agent did, in order. A trigger writes every step of a task; the agent adds what it likes. For the service alone.';
COMMENT ON COLUMN agent_execution_log.task_id IS 'The task; NULL where it is gone.';
COMMENT ON COLUMN agent_execution_log.event IS 'created and the statuses of a task by the trigger (pending for one to be tried again); other words are the agent''s.';
COMMENT ON COLUMN agent_execution_log.attempt IS 'Which attempt of the task it was.';

CREATE OR REPLACE FUNCTION agent_next_run(recurrence text, after timestamptz DEFAULT now()) RETURNS timestamptz
LANGUAGE plpgsql
STABLE
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
DECLARE
    spoken text := regexp_replace(lower(btrim(recurrence)), '^every\s+', '');
    step interval;
BEGIN
    step := CASE spoken
        WHEN 'hourly' THEN interval '1 hour'
        WHEN 'hour' THEN interval '1 hour'
        WHEN 'daily' THEN interval '1 day'
        WHEN 'day' THEN interval '1 day'
        WHEN 'weekly' THEN interval '7 days'
        WHEN 'week' THEN interval '7 days'
        WHEN 'monthly' THEN interval '1 month'
        WHEN 'month' THEN interval '1 month'
        WHEN 'yearly' THEN interval '1 year'
        WHEN 'year' THEN interval '1 year'
    END;
    -- A bare number would be taken for seconds.
    IF step IS NULL AND spoken ~ '[a-z:]' THEN
        BEGIN
            step := spoken::interval;
        EXCEPTION WHEN data_exception THEN
            RETURN NULL;
        END;
    END IF;
    IF step IS NULL OR step <= interval '0' THEN
        RETURN NULL;
    END IF;
    -- From the planned time, so that the clock does not drift; a run that was missed is not made up for.
    RETURN CASE WHEN after + step > now() THEN after + step ELSE now() + step END;
END
$function$;
COMMENT ON FUNCTION agent_next_run(text, timestamptz) IS
    'When a task that recurs runs again after that time, and not before now; NULL for one that does not recur, or in words that are neither hourly ... yearly nor an interval.';

CREATE OR REPLACE FUNCTION claim_agent_task(wanted_types text[] DEFAULT NULL, stale_after interval DEFAULT NULL) RETURNS SETOF agent_tasks
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
ROWS 1
SET search_path FROM CURRENT
AS $function$
BEGIN
    -- SKIP LOCKED: of many who ask at once each gets another task, and nobody waits.
    RETURN QUERY
        UPDATE agent_tasks AS task
        SET status = 'in_progress', started_at = clock_timestamp(), completed_at = NULL, attempts = task.attempts + 1
        WHERE task.id = (
            SELECT due.id
            FROM agent_tasks AS due
            WHERE due.status IN ('pending', 'in_progress')
              AND (due.status = 'pending' OR due.started_at < clock_timestamp() - stale_after)
              AND (due.scheduled_for IS NULL OR due.scheduled_for <= clock_timestamp())
              AND due.attempts < due.max_attempts
              AND due.is_active IS NOT FALSE
              AND (wanted_types IS NULL OR due.task_type = ANY (wanted_types))
            ORDER BY due.priority DESC, due.scheduled_for NULLS FIRST, due.created_at
            LIMIT 1
            FOR UPDATE SKIP LOCKED)
        RETURNING task.*;
END
$function$;
COMMENT ON FUNCTION claim_agent_task(text[], interval) IS
    'Takes the next due task, by priority, then time, and returns it as in_progress; no row where nothing is due. With stale_after also one whose agent went silent that long ago.';

CREATE OR REPLACE FUNCTION finish_agent_task(
    task_id uuid,
    outcome text,
    task_result text DEFAULT NULL,
    task_error text DEFAULT NULL,
    task_changes text[] DEFAULT NULL)
RETURNS agent_tasks
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
DECLARE
    task agent_tasks;
    again boolean;
    next_run timestamptz;
BEGIN
    IF outcome IS NULL OR outcome NOT IN ('completed', 'failed', 'skipped') THEN
        RAISE EXCEPTION 'a task ends as completed, failed or skipped, not as %', coalesce(outcome, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO task FROM agent_tasks AS own WHERE own.id = task_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no task %', task_id USING ERRCODE = 'no_data_found';
    END IF;
    IF task.status <> 'in_progress' THEN
        RAISE EXCEPTION 'task % is %, not in_progress', task_id, task.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take it with claim_agent_task() first.';
    END IF;

    -- What failed is tried again, each time after twice as long, as often as it may be.
    again := outcome = 'failed' AND task.attempts < task.max_attempts;
    UPDATE agent_tasks AS own
    SET status = CASE WHEN again THEN 'pending' ELSE outcome END,
        scheduled_for = CASE WHEN again
            THEN clock_timestamp() + least(interval '1 minute' * 2 ^ least(task.attempts - 1, 10), interval '1 hour')
            ELSE own.scheduled_for END,
        completed_at = CASE WHEN NOT again THEN clock_timestamp() END,
        duration_ms = least(extract(epoch FROM clock_timestamp() - own.started_at) * 1000, 2147483647)::integer,
        result = coalesce(task_result, own.result),
        error_message = task_error,
        changes_made = coalesce(task_changes, own.changes_made)
    WHERE own.id = task_id;

    next_run := CASE WHEN NOT again THEN agent_next_run(task.recurrence, coalesce(task.scheduled_for, task.started_at, now())) END;
    IF next_run IS NOT NULL AND task.is_active IS NOT FALSE THEN
        INSERT INTO agent_tasks (task_type, priority, title, description, file_paths, metadata, scheduled_for, recurrence, recurs_from,
                                 max_attempts, user_id, created_by)
        VALUES (task.task_type, task.priority, task.title, task.description, task.file_paths, task.metadata, next_run, task.recurrence, task.id,
                task.max_attempts, task.user_id, task.created_by)
        ON CONFLICT (recurs_from) DO NOTHING;
    END IF;
    SELECT * INTO task FROM agent_tasks AS own WHERE own.id = task_id;
    RETURN task;
END
$function$;
COMMENT ON FUNCTION finish_agent_task(uuid, text, text, text, text[]) IS
    'Ends a task that was taken: completed, failed (then it waits to be tried again, max_attempts times) or skipped. Of a task that recurs the next run is queued. Returns the task as it is then.';

CREATE OR REPLACE FUNCTION agent_tasks_record_execution() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.status <> OLD.status OR NEW.attempts <> OLD.attempts THEN
        INSERT INTO agent_execution_log (task_id, task_type, event, level, message, attempt, duration_ms, details)
        VALUES (
            NEW.id,
            NEW.task_type,
            CASE WHEN TG_OP = 'INSERT' AND NEW.status = 'pending' THEN 'created' ELSE NEW.status END,
            CASE WHEN NEW.status = 'failed' THEN 'error' WHEN NEW.status = 'pending' AND NEW.error_message IS NOT NULL THEN 'warning' ELSE 'info' END,
            coalesce(CASE WHEN NEW.status IN ('failed', 'pending') THEN NEW.error_message WHEN NEW.status = 'completed' THEN NEW.result END, NEW.title),
            NEW.attempts,
            CASE WHEN NEW.status <> 'in_progress' THEN NEW.duration_ms END,
            jsonb_strip_nulls(jsonb_build_object('scheduled_for', CASE WHEN NEW.status = 'pending' THEN NEW.scheduled_for END)));
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION agent_tasks_record_execution() IS 'Trigger: writes each step of a task into agent_execution_log, whoever makes it.';

CREATE OR REPLACE TRIGGER agent_tasks_record_execution
    AFTER INSERT OR UPDATE OF status, attempts ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION agent_tasks_record_execution();

CREATE OR REPLACE TRIGGER agent_tasks_set_updated_at
    BEFORE UPDATE ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER agent_findings_set_updated_at
    BEFORE UPDATE ON agent_findings
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE agent_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_execution_log ENABLE ROW LEVEL SECURITY;

-- The hosted platform's default privileges give its roles everything on what is
-- new: it is taken back, and each role gets what it needs.
DO $grants$
DECLARE
    api_role text;
    granted record;
    numbers text;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('agent_tasks', NULL::text, 'SELECT, INSERT, UPDATE, DELETE'),
            ('agent_findings', NULL, 'SELECT, INSERT, UPDATE, DELETE'),
            ('agent_execution_log', NULL, 'SELECT, INSERT, UPDATE, DELETE')
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
    -- The identity's sequence; none where the table came with another id.
    numbers := pg_get_serial_sequence('agent_execution_log', 'id');
    IF numbers IS NOT NULL THEN
        EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM PUBLIC', numbers);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM %I', numbers, api_role);
            IF api_role = 'service_role' THEN
                EXECUTE format('GRANT USAGE, SELECT ON SEQUENCE %s TO service_role', numbers);
            END IF;
        END LOOP;
    END IF;
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('agent_next_run(text, timestamp with time zone)', '{service_role}'::text[]),
            ('claim_agent_task(text[], interval)', '{service_role}'),
            ('finish_agent_task(uuid, text, text, text, text[])', '{service_role}'),
            ('agent_tasks_record_execution()', '{}')
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
