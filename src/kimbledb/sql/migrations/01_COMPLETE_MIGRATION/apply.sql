-- The foundation: people, projects, conversations, messages, knowledge, files
-- with what was read out of them, and the two activity logs.
--
-- Identifiers of people, projects and conversations are text. Whoever asks is
-- told by requesting_user_id(); every policy compares with it, computed once.

-- Functions that the whole schema uses.

CREATE FUNCTION requesting_user_id() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
    SELECT coalesce(
        nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''),
        nullif(current_setting('kimbledb.user_id', true), ''))
$$;
COMMENT ON FUNCTION requesting_user_id() IS
    'Who asks: the claim sub of request.jwt.claims, and only where that is empty the setting kimbledb.user_id.';

CREATE FUNCTION set_updated_at() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    -- A statement that sets the column itself is taken at its word.
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION set_updated_at() IS 'Trigger: stamps a changed row, unless the statement stamped it itself.';

-- What a trigger or a policy asks so does not depend on the column, and the column can be dropped.
CREATE FUNCTION has_column(of_table regclass, named text) RETURNS boolean
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_attribute WHERE attrelid = of_table AND attname = named AND NOT attisdropped)
$$;
COMMENT ON FUNCTION has_column(regclass, text) IS 'Whether a table has a column.';

-- Whether a project exists does not depend on who asks: a definer's rights see all of them.
CREATE FUNCTION general_project_is_none() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF has_column(TG_RELID, 'project_id') THEN
        IF NEW.project_id = 'general' AND NOT EXISTS (SELECT FROM projects WHERE id = 'general') THEN
            NEW.project_id := NULL;
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION general_project_is_none() IS
    'Trigger: the project_id ''general'' means no project, unless a project has that id.';

-- The policies for collaborators stand on a copy of project_id where that column can be dropped.
CREATE FUNCTION track_shared_project() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    NEW.shared_project_id := NULL;
    IF has_column(TG_RELID, 'project_id') THEN
        NEW.shared_project_id := NEW.project_id;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION track_shared_project() IS 'Trigger: keeps shared_project_id equal to project_id.';

CREATE FUNCTION projects_sync_owner_id() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    owner_changed boolean;
    user_changed boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        owner_changed := NEW.owner_id IS NOT NULL;
        user_changed := NEW.user_id IS NOT NULL;
    ELSE
        owner_changed := NEW.owner_id IS DISTINCT FROM OLD.owner_id;
        user_changed := NEW.user_id IS DISTINCT FROM OLD.user_id;
    END IF;
    IF owner_changed AND user_changed AND NEW.owner_id IS DISTINCT FROM NEW.user_id THEN
        RAISE EXCEPTION 'projects.owner_id and projects.user_id are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'projects', COLUMN = 'user_id';
    ELSIF owner_changed THEN
        NEW.user_id := NEW.owner_id;
    ELSIF user_changed THEN
        NEW.owner_id := NEW.user_id;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION projects_sync_owner_id() IS
    'Trigger: keeps owner_id and the application''s user_id of a project equal.';

-- A function, since a policy of projects cannot read projects.
CREATE FUNCTION is_own_project(project_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM projects AS p WHERE p.id = $1 AND p.owner_id = requesting_user_id());
END
$$;
COMMENT ON FUNCTION is_own_project(text) IS 'Whether a project is one of the caller.';

CREATE FUNCTION shared_projects() RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN ARRAY(SELECT p.id FROM projects AS p WHERE p.collaborators @> ARRAY[requesting_user_id()]);
END
$$;
COMMENT ON FUNCTION shared_projects() IS 'The projects of which the caller is a collaborator.';

-- Only what is the owner's is shared with a project: else whoever makes a project by a name that others write into
-- project_id, and names them as collaborators, could read what is theirs.
CREATE FUNCTION is_project_of(project_id text, person text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM projects AS p WHERE p.id = $1 AND p.owner_id = person);
END
$$;
COMMENT ON FUNCTION is_project_of(text, text) IS 'Whether a project that the caller may see is one of a person.';

CREATE FUNCTION is_in_own_project(entry anyelement) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT has_column((SELECT typrelid FROM pg_catalog.pg_type WHERE oid = pg_typeof(entry)), 'project_id') THEN
        RETURN true;
    END IF;
    RETURN entry.project_id IS NULL OR is_own_project(entry.project_id);
END
$$;
COMMENT ON FUNCTION is_in_own_project(anyelement) IS
    'Whether a row is in no project, or in one of the caller; true where its table has no project_id.';

-- When something is due that repeats. Tasks of the agent and triggers of workflows share this.

CREATE FUNCTION cron_field(field text, lowest integer, highest integer, names text[] DEFAULT '{}') RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
DECLARE
    part text;
    parts text[];
    first integer;
    last integer;
    listed integer[] := '{}';
BEGIN
    FOREACH part IN ARRAY string_to_array(field, ',') LOOP
        parts := regexp_match(part, '^(\*|[a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?(?:/(\d{1,2}))?$');
        IF parts IS NULL OR parts[1] = '*' AND parts[2] IS NOT NULL OR parts[3]::integer = 0 THEN
            RETURN NULL;
        END IF;
        first := CASE WHEN parts[1] = '*' THEN lowest WHEN parts[1] ~ '\d' THEN parts[1]::integer
                      ELSE lowest - 1 + array_position(names, parts[1]) END;
        last := CASE WHEN parts[2] ~ '\d' THEN parts[2]::integer
                     WHEN parts[2] IS NOT NULL THEN lowest - 1 + array_position(names, parts[2])
                     WHEN parts[1] = '*' OR parts[3] IS NOT NULL THEN highest ELSE first END;
        -- Of weekdays Sunday is also the last one, as in sat-sun.
        IF names[1] = 'sun' AND parts[2] = 'sun' THEN
            last := 7;
        END IF;
        IF (first BETWEEN lowest AND last AND last <= highest) IS NOT TRUE THEN
            RETURN NULL;
        END IF;
        listed := listed || ARRAY(SELECT generate_series(first, last, coalesce(parts[3]::integer, 1)));
    END LOOP;
    RETURN (SELECT array_agg(DISTINCT each ORDER BY each) FROM unnest(listed) AS each);
END
$$;
COMMENT ON FUNCTION cron_field(text, integer, integer, text[]) IS
    'The numbers that one field of a cron line means; NULL for a field that is not understood.';

CREATE FUNCTION read_schedule(
    schedule text,
    OUT step interval,
    OUT minutes integer[],
    OUT hours integer[],
    OUT days integer[],
    OUT months integer[],
    OUT weekdays integer[],
    OUT either_day boolean,
    OUT each_hour boolean)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
DECLARE
    week constant text[] := ARRAY['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
    year constant text[] := ARRAY['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
    unit constant text := '(\d{1,6} ?|an? )?(second|sec|minute|min|hour|day|week|fortnight|month|quarter|year)s?';
    spoken text := lower(btrim(regexp_replace(schedule, '\s+', ' ', 'g')));
    named text;
    fields text[];
    parts text[];
    problem text;
BEGIN
    spoken := CASE spoken
        WHEN '@hourly' THEN '0 * * * *' WHEN '@daily' THEN '0 0 * * *' WHEN '@midnight' THEN '0 0 * * *'
        WHEN '@weekly' THEN '0 0 * * 0' WHEN '@monthly' THEN '0 0 1 * *'
        WHEN '@yearly' THEN '0 0 1 1 *' WHEN '@annually' THEN '0 0 1 1 *'
        WHEN 'hourly' THEN 'every hour' WHEN 'daily' THEN 'every day' WHEN 'weekly' THEN 'every week'
        WHEN 'fortnightly' THEN 'every fortnight' WHEN 'monthly' THEN 'every month' WHEN 'quarterly' THEN 'every quarter'
        WHEN 'yearly' THEN 'every year' WHEN 'annually' THEN 'every year' ELSE spoken END;
    fields := string_to_array(spoken, ' ');

    -- A period: of ISO 8601 (P1W, PT15M), or in words (15 minutes, every 2 weeks, 1 day and 12 hours).
    parts := regexp_match(spoken,
        '^p(?=[\dt])(?:(\d{1,6})y)?(?:(\d{1,6})m)?(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:t(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?)?$');
    IF parts IS NOT NULL THEN
        parts := ARRAY(SELECT coalesce(each, '0') FROM unnest(parts) WITH ORDINALITY AS part (each, place) ORDER BY place);
        step := make_interval(parts[1]::integer, parts[2]::integer, parts[3]::integer, parts[4]::integer,
                              parts[5]::integer, parts[6]::integer, parts[7]::integer);
    ELSIF spoken ~ ('^(every )?' || unit || '((,| and|,? ) ?' || unit || ')*$') THEN
        SELECT sum(coalesce(nullif(regexp_replace(part[1], '[^0-9]', '', 'g'), '')::integer, 1) * CASE part[2]
                   WHEN 'sec' THEN interval '1 second' WHEN 'min' THEN interval '1 minute'
                   WHEN 'fortnight' THEN interval '14 days' WHEN 'quarter' THEN interval '3 months'
                   ELSE ('1 ' || part[2])::interval END)
        INTO step FROM regexp_matches(spoken, unit, 'g') AS part;
    END IF;
    IF step IS NOT NULL THEN
        IF step < interval '1 second' OR step > interval '100 years' THEN
            RAISE EXCEPTION 'the schedule "%" is no period from a second to a hundred years', schedule
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        RETURN;
    END IF;

    -- Weekdays: every monday, mon-fri at 09:00, every tuesday and thursday. Without a time, the time of the first run.
    named := regexp_replace(regexp_replace(spoken, ' at ([01]?\d|2[0-3]):([0-5]\d)$', ''), '^(every|on|weekly on) ', '');
    named := regexp_replace(named, '\m(?:(sun|mon|fri)|(tue)s|(wed)nes|(thu)rs|(sat)ur)days?\M', '\1\2\3\4\5', 'g');
    named := regexp_replace(regexp_replace(named, '\mweekdays?\M', 'mon-fri'), '\mweekends?\M', 'sat-sun');
    named := regexp_replace(regexp_replace(named, '^(day|daily)$', 'sun-sat'), ' ?(,| and | ) ?', ',', 'g');
    IF named ~ '^[a-z]{3}(-[a-z]{3})?(,[a-z]{3}(-[a-z]{3})?)*$' THEN
        weekdays := cron_field(named, 0, 7, week);
        parts := regexp_match(spoken, ' at (\d{1,2}):(\d\d)$');
        hours := ARRAY[parts[1]::integer];
        minutes := ARRAY[parts[2]::integer];
        days := ARRAY(SELECT generate_series(1, 31));
        months := ARRAY(SELECT generate_series(1, 12));
        either_day := false;
        each_hour := false;
    -- A cron line; L is the month's last day.
    ELSIF spoken ~ '^[\d*][\d*,/-]* ' AND cardinality(fields) = 5 THEN
        minutes := cron_field(fields[1], 0, 59);
        hours := cron_field(fields[2], 0, 23);
        days := CASE WHEN fields[3] = 'l' THEN ARRAY[32] ELSE cron_field(fields[3], 1, 31) END;
        months := cron_field(fields[4], 1, 12, year);
        weekdays := cron_field(fields[5], 0, 7, week);
        -- As cron has it: where both are restricted, a day is taken that either names.
        either_day := fields[3] !~ '^\*' AND fields[5] !~ '^\*';
        each_hour := fields[2] ~ '^\*';
        problem := CASE WHEN minutes IS NULL THEN format('its minute "%s" is none of 0 to 59', fields[1])
                        WHEN hours IS NULL THEN format('its hour "%s" is none of 0 to 23', fields[2])
                        WHEN days IS NULL THEN format('its day of the month "%s" is none of 1 to 31 and L', fields[3])
                        WHEN months IS NULL THEN format('its month "%s" is none of 1 to 12 and jan to dec', fields[4])
                        WHEN weekdays IS NULL THEN format('its day of the week "%s" is none of 0 to 7 and sun to sat', fields[5]) END;
    ELSIF spoken ~ '^[\d*][\d*,/-]*( [\d*a-z,/-]+){3,}$' THEN
        problem := format('a cron line has five fields and it has %s', cardinality(fields));
    END IF;
    IF weekdays IS NULL OR problem IS NOT NULL THEN
        RAISE EXCEPTION 'the schedule "%" is not understood%', schedule, coalesce(': ' || problem, '')
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'Write hourly, daily, weekly, monthly, quarterly or yearly; every 15 minutes; every monday at 09:00; '
                         'a cron line such as 0 9 * * mon-fri; or a period of ISO 8601 such as P1W or PT15M.';
    END IF;
    weekdays := ARRAY(SELECT DISTINCT each % 7 FROM unnest(weekdays) AS each ORDER BY 1);
END
$$;
COMMENT ON FUNCTION read_schedule(text) IS
    'What a schedule means: the step of a period, or the minutes, hours, days (32 for the last), months and weekdays (0 for Sunday). '
    'Hours of NULL stand for the time of the first run. A schedule that is not understood is an error.';

CREATE FUNCTION first_reading(reading timestamp, zone text) RETURNS timestamptz
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
DECLARE
    later constant timestamptz := reading AT TIME ZONE zone;
    day_before constant timestamptz := later - interval '1 day';
    earlier constant timestamptz :=
        (reading - (day_before AT TIME ZONE zone - day_before AT TIME ZONE 'UTC')) AT TIME ZONE 'UTC';
BEGIN
    RETURN CASE WHEN earlier AT TIME ZONE zone = reading THEN least(earlier, later) ELSE later END;
END
$$;
COMMENT ON FUNCTION first_reading(timestamp, text) IS
    'When the clocks of a time zone first read a time: the first of two where they go back, and as much later as they skip.';

CREATE FUNCTION next_scheduled(
    schedule text,
    after timestamptz DEFAULT now(),
    zone text DEFAULT 'UTC',
    first_run timestamptz DEFAULT NULL)
    RETURNS timestamptz
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
DECLARE
    told record;
    months integer;
    days integer;
    rest interval;
    passed integer := 0;
    since timestamptz := greatest(after, first_run - interval '1 microsecond');
    day date;
    last_day date;
    at_day boolean;
    at_weekday boolean;
    slot timestamptz;
BEGIN
    IF schedule IS NULL OR after IS NULL THEN
        RETURN NULL;
    END IF;
    told := read_schedule(schedule);
    day := (since AT TIME ZONE zone)::date;
    last_day := day + 366 * 50;

    IF told.step IS NOT NULL THEN
        IF first_run > after THEN
            RETURN first_run;
        END IF;
        first_run := coalesce(first_run, after);
        months := extract(year FROM told.step) * 12 + extract(month FROM told.step);
        days := extract(day FROM told.step);
        rest := told.step - make_interval(months => months, days => days);
        -- Each slot is counted from the first run, so that the 31st comes back after February. A whole step is at most this long.
        passed := greatest(floor(extract(epoch FROM after - first_run) / (extract(epoch FROM rest) + 86400.0 * (days + 31 * months))) - 1, 0);
        LOOP
            passed := passed + 1;
            slot := CASE WHEN months = 0 AND days = 0 THEN first_run
                         ELSE first_reading(first_run AT TIME ZONE zone + make_interval(months => months, days => days) * passed, zone) END
                    + rest * passed;
            EXIT WHEN slot > after;
        END LOOP;
        RETURN slot;
    END IF;

    WHILE day < last_day LOOP
        IF extract(month FROM day) <> ALL (told.months) THEN
            day := (date_trunc('month', day::timestamp) + interval '1 month')::date;
            CONTINUE;
        END IF;
        at_day := extract(day FROM day) = ANY (told.days) OR 32 = ANY (told.days) AND extract(day FROM day + 1) = 1;
        at_weekday := extract(dow FROM day) = ANY (told.weekdays);
        IF told.either_day AND (at_day OR at_weekday) OR at_day AND at_weekday THEN
            -- A fixed time comes once a day: at its first reading where clocks go back, an hour later where they skip it.
            -- What runs in each hour runs at each reading.
            SELECT min(each) INTO slot
            FROM (
                SELECT day + make_time(hour, minute, 0) AS reading
                FROM unnest(told.hours) AS hour CROSS JOIN unnest(told.minutes) AS minute
                WHERE hour IS NOT NULL
                UNION ALL
                SELECT day + coalesce((first_run AT TIME ZONE zone)::time, '00:00') WHERE told.hours[1] IS NULL
            ) AS clock
            CROSS JOIN LATERAL (
                SELECT first_reading(clock.reading, zone) WHERE NOT told.each_hour
                UNION ALL
                SELECT instant
                FROM (VALUES (first_reading(clock.reading, zone)), (clock.reading AT TIME ZONE zone)) AS reads (instant)
                WHERE told.each_hour AND instant AT TIME ZONE zone = clock.reading
            ) AS run (each)
            WHERE each > since;
            IF slot IS NOT NULL THEN
                RETURN slot;
            END IF;
        END IF;
        day := day + 1;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION next_scheduled(text, timestamptz, text, timestamptz) IS
    'The first slot of a schedule after a time, by the clock of a time zone, and not before the first run. '
    'A period counts from the first run (from that time where none is given). NULL where no day of fifty years fits.';

CREATE FUNCTION check_schedule(schedule text, zone text) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
BEGIN
    -- PostgreSQL also takes rules such as XYZ5, and with them a misspelt name that ends in a number.
    IF zone !~ '^[A-Za-z_/-]+$' AND zone !~ '^(Etc/.+|GMT[+-]?0|(EST5E|CST6C|MST7M|PST8P)DT)$' OR zone ~ '^-' THEN
        RAISE EXCEPTION 'the time zone "%" is not known', zone
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Write a name such as Europe/Berlin or UTC.';
    END IF;
    IF schedule IS NULL THEN
        PERFORM now() AT TIME ZONE zone;
    ELSIF next_scheduled(schedule, now(), zone) IS NULL THEN
        RAISE EXCEPTION 'the schedule "%" never comes: no day fits', schedule
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;
COMMENT ON FUNCTION check_schedule(text, text) IS
    'Raises an error where a schedule is not understood or never comes, or where a time zone is not known.';

-- Tables.

CREATE TABLE users (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    name text,
    email text,
    role text NOT NULL DEFAULT 'user',
    avatar_url text,
    preferences jsonb NOT NULL DEFAULT '{}',
    permissions jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_role_check CHECK (role IN ('admin', 'user', 'viewer'))
);

CREATE TABLE projects (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    name text NOT NULL,
    description text,
    status text NOT NULL DEFAULT 'active',
    priority text NOT NULL DEFAULT 'medium',
    owner_id text,
    user_id text,
    collaborators text[] NOT NULL DEFAULT '{}',
    parent_project_id text,
    tags text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    stats jsonb NOT NULL DEFAULT '{}',
    color text,
    archived boolean NOT NULL DEFAULT false,
    auto_created boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT projects_parent_project_id_fkey FOREIGN KEY (parent_project_id)
        REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT projects_status_check CHECK (status IN ('active', 'archived', 'completed', 'paused')),
    CONSTRAINT projects_priority_check CHECK (priority IN ('critical', 'high', 'low', 'medium')),
    CONSTRAINT projects_parent_project_id_check CHECK (parent_project_id <> id)
);

CREATE TABLE conversations (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    title text,
    summary text,
    status text DEFAULT 'active',
    tags text[] DEFAULT '{}',
    participant_count integer NOT NULL DEFAULT 1,
    message_count integer DEFAULT 0,
    messages jsonb,
    metadata jsonb DEFAULT '{}',
    auto_organized boolean NOT NULL DEFAULT false,
    organization_confidence double precision,
    last_message_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversations_pkey PRIMARY KEY (id),
    CONSTRAINT conversations_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT conversations_participant_count_check CHECK (participant_count >= 0),
    CONSTRAINT conversations_message_count_check CHECK (message_count >= 0),
    CONSTRAINT conversations_organization_confidence_check CHECK (organization_confidence BETWEEN 0 AND 1)
);

CREATE TABLE messages (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    conversation_id text NOT NULL,
    user_id text,
    project_id text,
    role text NOT NULL,
    content text NOT NULL,
    embedding vector(1536),
    metadata jsonb DEFAULT '{}',
    tokens_used integer,
    processing_time_ms integer,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT messages_pkey PRIMARY KEY (id),
    CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id)
        REFERENCES conversations (id) ON DELETE CASCADE,
    CONSTRAINT messages_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT messages_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT messages_role_check CHECK (role IN ('assistant', 'system', 'user')),
    CONSTRAINT messages_tokens_used_check CHECK (tokens_used >= 0),
    CONSTRAINT messages_processing_time_ms_check CHECK (processing_time_ms >= 0)
);

CREATE TABLE knowledge_base (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    project_id text,
    source_type text,
    source_id text,
    category text,
    title text,
    content text,
    embedding vector(1536),
    importance double precision DEFAULT 0.5,
    confidence double precision DEFAULT 1,
    tags text[] DEFAULT '{}',
    metadata jsonb DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT true,
    access_count integer NOT NULL DEFAULT 0,
    last_accessed timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT knowledge_base_pkey PRIMARY KEY (id),
    CONSTRAINT knowledge_base_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT knowledge_base_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT knowledge_base_importance_check CHECK (importance BETWEEN 0 AND 1),
    CONSTRAINT knowledge_base_confidence_check CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT knowledge_base_access_count_check CHECK (access_count >= 0)
);

CREATE TABLE files (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    project_id text,
    filename text,
    original_filename text,
    file_type text,
    mime_type text,
    size_bytes bigint,
    storage_path text,
    status text NOT NULL DEFAULT 'processing',
    metadata jsonb NOT NULL DEFAULT '{}',
    processed_content text,
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT files_pkey PRIMARY KEY (id),
    CONSTRAINT files_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT files_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT files_status_check CHECK (status IN ('completed', 'error', 'processing')),
    CONSTRAINT files_size_bytes_check CHECK (size_bytes >= 0)
);

CREATE TABLE audio_transcriptions (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    file_id text,
    filename text,
    file_size bigint,
    duration double precision,
    text text,
    content text,
    segments jsonb,
    words jsonb,
    utterances jsonb,
    chapters jsonb,
    language text,
    storage_url text,
    metadata jsonb DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT true,
    detected_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audio_transcriptions_pkey PRIMARY KEY (id),
    CONSTRAINT audio_transcriptions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT audio_transcriptions_file_size_check CHECK (file_size >= 0),
    CONSTRAINT audio_transcriptions_duration_check CHECK (duration >= 0)
);

CREATE TABLE processed_images (
    id integer GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    project_id text,
    file_id text,
    filename text,
    file_size bigint,
    storage_url text,
    thumbnail_url text,
    width integer,
    height integer,
    format text,
    analysis text,
    metadata jsonb DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT processed_images_pkey PRIMARY KEY (id),
    CONSTRAINT processed_images_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT processed_images_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT processed_images_file_size_check CHECK (file_size >= 0),
    CONSTRAINT processed_images_width_check CHECK (width > 0),
    CONSTRAINT processed_images_height_check CHECK (height > 0)
);

CREATE TABLE processed_documents (
    id integer GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    project_id text,
    file_id text,
    filename text,
    file_size bigint,
    storage_url text,
    thumbnail_url text,
    document_type text,
    content text,
    page_count integer,
    metadata jsonb DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT processed_documents_pkey PRIMARY KEY (id),
    CONSTRAINT processed_documents_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT processed_documents_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT processed_documents_file_size_check CHECK (file_size >= 0),
    CONSTRAINT processed_documents_page_count_check CHECK (page_count >= 0)
);

CREATE TABLE activity_logs (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    action_type text,
    resource_type text,
    resource_id text,
    resource_name text,
    metadata jsonb NOT NULL DEFAULT '{}',
    ip_address text,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT activity_logs_pkey PRIMARY KEY (id),
    CONSTRAINT activity_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE auth_logs (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    email text,
    event_type text,
    ip_address text,
    user_agent text,
    success boolean,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT auth_logs_pkey PRIMARY KEY (id)
);

-- Indexes: one for each foreign key, and for what the application filters and orders by.

CREATE UNIQUE INDEX idx_users_email ON users (lower(email));
CREATE INDEX idx_users_name ON users (name);
CREATE INDEX idx_users_metadata ON users USING gin (metadata);

CREATE INDEX idx_projects_owner_id ON projects (owner_id, updated_at DESC);
CREATE INDEX idx_projects_user_id ON projects (user_id);
CREATE INDEX idx_projects_parent_project_id ON projects (parent_project_id);
CREATE INDEX idx_projects_name ON projects USING gin (name gin_trgm_ops);
CREATE INDEX idx_projects_collaborators ON projects USING gin (collaborators);
CREATE INDEX idx_projects_tags ON projects USING gin (tags);
CREATE INDEX idx_projects_metadata ON projects USING gin (metadata);

CREATE INDEX idx_conversations_user_id_updated_at ON conversations (user_id, updated_at DESC);
CREATE INDEX idx_conversations_user_id_created_at ON conversations (user_id, created_at DESC);
CREATE INDEX idx_conversations_title ON conversations USING gin (title gin_trgm_ops);

CREATE INDEX idx_messages_conversation_id ON messages (conversation_id, created_at);
CREATE INDEX idx_messages_user_id ON messages (user_id, created_at DESC);
CREATE INDEX idx_messages_project_id ON messages (project_id);
CREATE INDEX idx_messages_timestamp ON messages (conversation_id, "timestamp");
CREATE INDEX idx_messages_content ON messages USING gin (content gin_trgm_ops);
CREATE INDEX idx_messages_embedding ON messages USING hnsw (embedding vector_cosine_ops);

CREATE INDEX idx_knowledge_base_user_id ON knowledge_base (user_id, created_at DESC);
CREATE INDEX idx_knowledge_base_project_id ON knowledge_base (project_id);
CREATE INDEX idx_knowledge_base_source ON knowledge_base (source_type, source_id);
CREATE INDEX idx_knowledge_base_category ON knowledge_base (user_id, category);
CREATE INDEX idx_knowledge_base_importance ON knowledge_base (user_id, importance DESC);
CREATE INDEX idx_knowledge_base_tags ON knowledge_base USING gin (tags);
CREATE INDEX idx_knowledge_base_metadata ON knowledge_base USING gin (metadata);
CREATE INDEX idx_knowledge_base_title ON knowledge_base USING gin (title gin_trgm_ops);
CREATE INDEX idx_knowledge_base_content ON knowledge_base USING gin (content gin_trgm_ops);
CREATE INDEX idx_knowledge_base_text ON knowledge_base
    USING gin (to_tsvector('english', coalesce(title, '') || ' ' || coalesce(content, '')));
CREATE INDEX idx_knowledge_base_embedding ON knowledge_base USING hnsw (embedding vector_cosine_ops);

CREATE INDEX idx_files_user_id ON files (user_id, created_at DESC);
CREATE INDEX idx_files_project_id ON files (project_id);
CREATE INDEX idx_files_filename ON files USING gin (filename gin_trgm_ops);
CREATE INDEX idx_files_tags ON files USING gin (tags);
CREATE INDEX idx_files_metadata ON files USING gin (metadata);

CREATE INDEX idx_audio_transcriptions_user_id ON audio_transcriptions (user_id, created_at DESC);
CREATE INDEX idx_audio_transcriptions_file_id ON audio_transcriptions (file_id);
CREATE INDEX idx_audio_transcriptions_filename ON audio_transcriptions USING gin (filename gin_trgm_ops);
CREATE INDEX idx_audio_transcriptions_text ON audio_transcriptions USING gin (text gin_trgm_ops);
CREATE INDEX idx_audio_transcriptions_metadata ON audio_transcriptions USING gin (metadata);

CREATE INDEX idx_processed_images_user_id ON processed_images (user_id, created_at DESC);
CREATE INDEX idx_processed_images_project_id ON processed_images (project_id);
CREATE INDEX idx_processed_images_file_id ON processed_images (file_id);
CREATE INDEX idx_processed_images_analysis ON processed_images USING gin (analysis gin_trgm_ops);

CREATE INDEX idx_processed_documents_user_id ON processed_documents (user_id, created_at DESC);
CREATE INDEX idx_processed_documents_project_id ON processed_documents (project_id);
CREATE INDEX idx_processed_documents_file_id ON processed_documents (file_id);
CREATE INDEX idx_processed_documents_content ON processed_documents USING gin (content gin_trgm_ops);

CREATE INDEX idx_activity_logs_user_id ON activity_logs (user_id, created_at DESC);
CREATE INDEX idx_activity_logs_resource ON activity_logs (resource_type, resource_id);
CREATE INDEX idx_activity_logs_created_at ON activity_logs (created_at DESC);

CREATE INDEX idx_auth_logs_email ON auth_logs (email, created_at DESC);
CREATE INDEX idx_auth_logs_created_at ON auth_logs (created_at DESC);

-- Triggers.

CREATE TRIGGER users_set_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER projects_set_updated_at BEFORE UPDATE ON projects
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER projects_sync_owner_id BEFORE INSERT OR UPDATE ON projects
    FOR EACH ROW EXECUTE FUNCTION projects_sync_owner_id();
CREATE TRIGGER conversations_set_updated_at BEFORE UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER knowledge_base_set_updated_at BEFORE UPDATE ON knowledge_base
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER files_set_updated_at BEFORE UPDATE ON files
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER audio_transcriptions_set_updated_at BEFORE UPDATE ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER messages_general_project BEFORE INSERT OR UPDATE ON messages
    FOR EACH ROW WHEN (NEW.project_id = 'general') EXECUTE FUNCTION general_project_is_none();
CREATE TRIGGER knowledge_base_general_project BEFORE INSERT OR UPDATE ON knowledge_base
    FOR EACH ROW WHEN (NEW.project_id = 'general') EXECUTE FUNCTION general_project_is_none();
CREATE TRIGGER files_general_project BEFORE INSERT OR UPDATE ON files
    FOR EACH ROW WHEN (NEW.project_id = 'general') EXECUTE FUNCTION general_project_is_none();
CREATE TRIGGER processed_images_general_project BEFORE INSERT OR UPDATE ON processed_images
    FOR EACH ROW WHEN (NEW.project_id = 'general') EXECUTE FUNCTION general_project_is_none();
CREATE TRIGGER processed_documents_general_project BEFORE INSERT OR UPDATE ON processed_documents
    FOR EACH ROW WHEN (NEW.project_id = 'general') EXECUTE FUNCTION general_project_is_none();

-- Row level security: on everywhere; a table without a policy is for the service alone.

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE knowledge_base ENABLE ROW LEVEL SECURITY;
ALTER TABLE files ENABLE ROW LEVEL SECURITY;
ALTER TABLE audio_transcriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE processed_images ENABLE ROW LEVEL SECURITY;
ALTER TABLE processed_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE activity_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth_logs ENABLE ROW LEVEL SECURITY;

-- Policies. What a person puts into a project goes into one of their own.

CREATE POLICY users_owner_read ON users FOR SELECT
    USING (id = (SELECT requesting_user_id()));
CREATE POLICY users_owner_update ON users FOR UPDATE
    USING (id = (SELECT requesting_user_id()))
    WITH CHECK (id = (SELECT requesting_user_id()));
CREATE POLICY projects_owner ON projects
    USING (owner_id = (SELECT requesting_user_id()))
    WITH CHECK (owner_id = (SELECT requesting_user_id())
        AND (parent_project_id IS NULL OR is_own_project(parent_project_id)));
CREATE POLICY projects_collaborator_read ON projects FOR SELECT
    USING (collaborators @> ARRAY[(SELECT requesting_user_id())]);
CREATE POLICY conversations_owner ON conversations
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
-- A message belongs to whoever owns its conversation; its project must be theirs, too. A query of messages reads those
-- of the caller's conversations by the index: EXISTS would be tried on each message of the table.
CREATE POLICY messages_owner ON messages
    USING (conversation_id = ANY (ARRAY(
        SELECT c.id FROM conversations AS c WHERE c.user_id = (SELECT requesting_user_id()))))
    WITH CHECK (EXISTS (
        SELECT FROM conversations AS c
        WHERE c.id = messages.conversation_id AND c.user_id = (SELECT requesting_user_id()))
        AND (user_id IS NULL OR user_id = (SELECT requesting_user_id()))
        AND (project_id IS NULL OR is_own_project(project_id)));
CREATE POLICY knowledge_base_owner ON knowledge_base
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id())
        AND (project_id IS NULL OR is_own_project(project_id)));
CREATE POLICY files_owner ON files
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id())
        AND (project_id IS NULL OR is_own_project(project_id)));
CREATE POLICY audio_transcriptions_owner ON audio_transcriptions
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY processed_images_owner ON processed_images
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id())
        AND (project_id IS NULL OR is_own_project(project_id)));
CREATE POLICY processed_documents_owner ON processed_documents
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id())
        AND (project_id IS NULL OR is_own_project(project_id)));
CREATE POLICY activity_logs_owner_read ON activity_logs FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
-- Whoever opens a project as its collaborator reads what its owner has in it. The first condition is for the indexes.
CREATE POLICY messages_collaborator_read ON messages FOR SELECT
    USING (project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(project_id, user_id));
CREATE POLICY knowledge_base_collaborator_read ON knowledge_base FOR SELECT
    USING (project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(project_id, user_id));
CREATE POLICY files_collaborator_read ON files FOR SELECT
    USING (project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(project_id, user_id));
CREATE POLICY processed_images_collaborator_read ON processed_images FOR SELECT
    USING (project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(project_id, user_id));
CREATE POLICY processed_documents_collaborator_read ON processed_documents FOR SELECT
    USING (project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(project_id, user_id));

-- What things are.

COMMENT ON TABLE users IS 'People. Their identity is the claim sub of their token.';
COMMENT ON COLUMN users.role IS 'What a person may do in the application: admin, user or viewer.';
COMMENT ON COLUMN users.permissions IS 'Single permissions beyond the role.';
COMMENT ON TABLE projects IS 'What a person works on; conversations, files and knowledge belong to one.';
COMMENT ON COLUMN projects.owner_id IS 'Whose project it is.';
COMMENT ON COLUMN projects.collaborators IS
    'Ids of the people who may read the project, and what is its owner''s in it. They change nothing.';
COMMENT ON COLUMN projects.user_id IS 'The application''s other name for owner_id, kept equal by a trigger.';
COMMENT ON COLUMN projects.auto_created IS 'Made by the application from content, not by a person.';
COMMENT ON COLUMN projects.stats IS 'Counts that the application keeps for its overview.';
COMMENT ON TABLE conversations IS 'Talks of a person with the assistant.';
COMMENT ON COLUMN conversations.messages IS
    'The application''s copy of the messages; the table messages is what counts.';
COMMENT ON COLUMN conversations.auto_organized IS 'Its project or category was chosen by the application.';
COMMENT ON COLUMN conversations.organization_confidence IS 'How sure the application was, from 0 to 1.';
COMMENT ON TABLE messages IS 'Messages of conversations; reached through their conversation.';
COMMENT ON COLUMN messages.user_id IS 'Who wrote or asked.';
COMMENT ON COLUMN messages."timestamp" IS 'When it was said, by the application''s clock.';
COMMENT ON TABLE knowledge_base IS 'What is known about a person''s world, in pieces that can be searched by meaning.';
COMMENT ON COLUMN knowledge_base.source_type IS
    'Where the piece comes from, such as a file, a conversation or an email.';
COMMENT ON COLUMN knowledge_base.source_id IS 'Which of those it is.';
COMMENT ON COLUMN knowledge_base.importance IS 'From 0 to 1.';
COMMENT ON COLUMN knowledge_base.confidence IS 'From 0 to 1.';
COMMENT ON COLUMN knowledge_base.embedding IS 'Its meaning, for search by cosine distance.';
COMMENT ON TABLE files IS 'Files that people brought.';
COMMENT ON COLUMN files.processed_content IS 'The text that was read out of it.';
COMMENT ON TABLE audio_transcriptions IS 'What was said in recordings.';
COMMENT ON COLUMN audio_transcriptions.file_id IS
    'The uploaded file; a plain value, since uploads live outside of this schema.';
COMMENT ON COLUMN audio_transcriptions.duration IS 'Seconds.';
COMMENT ON COLUMN audio_transcriptions.segments IS 'Parts with their times.';
COMMENT ON TABLE processed_images IS 'What was seen in pictures.';
COMMENT ON COLUMN processed_images.file_id IS
    'The uploaded file; a plain value, since uploads live outside of this schema.';
COMMENT ON COLUMN processed_images.analysis IS 'What the model says is on it.';
COMMENT ON TABLE processed_documents IS 'What was read out of documents.';
COMMENT ON COLUMN processed_documents.file_id IS
    'The uploaded file; a plain value, since uploads live outside of this schema.';
COMMENT ON TABLE activity_logs IS 'What people did. The service writes it, a person reads their own.';
COMMENT ON TABLE auth_logs IS 'Attempts to sign in. For the service alone.';
