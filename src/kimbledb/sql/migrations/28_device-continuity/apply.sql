-- device-continuity.sql
--
-- A person's devices, what each of them shows at the moment, and what waits to
-- be brought from one to the other.
--
-- How conflicts are resolved. A context is a JSON object; each of its keys has a
-- stamp: the version of the context that set it, when, and on which device.
-- Whoever writes says which version they had seen (sync_device_context() knows
-- it by itself).
--   * Who writes a key that nobody else changed since that version follows the
--     old value: the new one is taken, whatever the clocks say, and its stamp is
--     later than the old one's.
--   * Else, and whenever contexts of two devices meet, the later stamp wins, of
--     two at once that of the greater device id, then the greater value. A
--     removal is a value like others, also where the key was never there. So
--     every device comes to the same, in whatever order they meet.
--   * The value that lost is kept in device_context_conflicts where another
--     device had changed the key meanwhile.
-- Each key is decided by itself: what two devices changed in different keys is
-- all kept.

CREATE TABLE devices (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text NOT NULL,
    name text,
    device_type text,
    platform text,
    browser text,
    app_version text,
    is_active boolean NOT NULL DEFAULT true,
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT devices_pkey PRIMARY KEY (id),
    CONSTRAINT devices_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE device_context (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    device_id text NOT NULL,
    conversation_id text,
    project_id text,
    context jsonb NOT NULL DEFAULT '{}'::jsonb,
    key_stamps jsonb NOT NULL DEFAULT '{}'::jsonb,
    version bigint NOT NULL DEFAULT 1,
    synced_versions jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT device_context_pkey PRIMARY KEY (id),
    CONSTRAINT device_context_device_id_key UNIQUE (device_id),
    CONSTRAINT device_context_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT device_context_device_id_fkey FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE CASCADE,
    CONSTRAINT device_context_conversation_id_fkey
        FOREIGN KEY (conversation_id) REFERENCES conversations (id) ON DELETE SET NULL,
    CONSTRAINT device_context_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL,
    CONSTRAINT device_context_context_check CHECK (jsonb_typeof(context) = 'object'),
    CONSTRAINT device_context_key_stamps_check CHECK (jsonb_typeof(key_stamps) = 'object'),
    CONSTRAINT device_context_synced_versions_check CHECK (jsonb_typeof(synced_versions) = 'object'),
    CONSTRAINT device_context_version_check CHECK (version > 0)
);

CREATE TABLE device_sync_queue (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    source_device_id text,
    target_device_id text NOT NULL,
    item_type text NOT NULL DEFAULT 'context',
    item_id text,
    operation text NOT NULL DEFAULT 'update',
    payload jsonb NOT NULL DEFAULT '{}'::jsonb,
    source_version bigint,
    status text NOT NULL DEFAULT 'pending',
    priority integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL DEFAULT 5,
    error_message text,
    available_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz,
    synced_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT device_sync_queue_pkey PRIMARY KEY (id),
    CONSTRAINT device_sync_queue_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT device_sync_queue_source_device_id_fkey
        FOREIGN KEY (source_device_id) REFERENCES devices (id) ON DELETE SET NULL,
    CONSTRAINT device_sync_queue_target_device_id_fkey
        FOREIGN KEY (target_device_id) REFERENCES devices (id) ON DELETE CASCADE,
    CONSTRAINT device_sync_queue_operation_check CHECK (operation IN ('create', 'update', 'delete')),
    CONSTRAINT device_sync_queue_status_check CHECK (status IN ('pending', 'in_progress', 'synced', 'failed')),
    CONSTRAINT device_sync_queue_attempts_check CHECK (attempts >= 0),
    CONSTRAINT device_sync_queue_max_attempts_check CHECK (max_attempts > 0),
    CONSTRAINT device_sync_queue_target_device_id_check CHECK (target_device_id <> source_device_id)
);

CREATE TABLE device_context_conflicts (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    device_id text NOT NULL,
    context_key text NOT NULL,
    kept_value jsonb,
    kept_device_id text NOT NULL,
    kept_changed_at timestamptz NOT NULL,
    lost_value jsonb,
    lost_device_id text NOT NULL,
    lost_changed_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT device_context_conflicts_pkey PRIMARY KEY (id),
    CONSTRAINT device_context_conflicts_once_key
        UNIQUE (user_id, context_key, kept_device_id, kept_changed_at, lost_device_id, lost_changed_at),
    CONSTRAINT device_context_conflicts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT device_context_conflicts_device_id_fkey
        FOREIGN KEY (device_id) REFERENCES devices (id) ON DELETE CASCADE
);

CREATE INDEX idx_devices_user_id_last_seen_at ON devices (user_id, last_seen_at DESC);
CREATE INDEX idx_devices_last_seen_at ON devices (last_seen_at DESC);
CREATE INDEX idx_device_context_user_id_updated_at ON device_context (user_id, updated_at DESC);
CREATE INDEX idx_device_context_conversation_id ON device_context (conversation_id);
CREATE INDEX idx_device_context_project_id ON device_context (project_id);
CREATE INDEX idx_device_sync_queue_user_id_created_at ON device_sync_queue (user_id, created_at DESC);
CREATE INDEX idx_device_sync_queue_source_device_id ON device_sync_queue (source_device_id);
CREATE INDEX idx_device_sync_queue_target_device_id ON device_sync_queue (target_device_id);
-- What waits, in the order in which it is taken: few rows of many.
CREATE INDEX idx_device_sync_queue_due
    ON device_sync_queue (target_device_id, priority DESC, created_at) WHERE status IN ('pending', 'in_progress');
-- Of one device's context at most one item waits for another device: it brings all.
CREATE UNIQUE INDEX idx_device_sync_queue_pending_context
    ON device_sync_queue (target_device_id, source_device_id) WHERE item_type = 'context' AND status = 'pending';
CREATE INDEX idx_device_context_conflicts_user_id_created_at ON device_context_conflicts (user_id, created_at DESC);
CREATE INDEX idx_device_context_conflicts_device_id ON device_context_conflicts (device_id);

COMMENT ON TABLE devices IS 'The devices of people.';
COMMENT ON COLUMN devices.device_type IS 'Such as desktop, tablet or phone.';
COMMENT ON COLUMN devices.is_active IS 'Whether it still takes part; one that does not gets no more sync items.';
COMMENT ON COLUMN devices.last_seen_at IS 'When it was heard of last.';
COMMENT ON TABLE device_context IS 'What each device shows at the moment: one row for each device.';
COMMENT ON COLUMN device_context.conversation_id IS 'The conversation that is open on the device.';
COMMENT ON COLUMN device_context.project_id IS 'The project that is open on the device.';
COMMENT ON COLUMN device_context.context IS 'What continues on another device, by key. Each key is merged by itself.';
COMMENT ON COLUMN device_context.key_stamps IS
    'For each key, also a removed one: '
    'the version that set it, changed_at, and the device_id that changed it. Kept by a trigger.';
COMMENT ON COLUMN device_context.version IS 'Counts the changes of context and of its stamps. Kept by a trigger.';
COMMENT ON COLUMN device_context.synced_versions IS
    'For each device that this one was brought up to date from: the id of its context, and the version of it then.';
COMMENT ON TABLE device_sync_queue IS 'What waits to be brought to a device.';
COMMENT ON COLUMN device_sync_queue.source_device_id IS
    'Where it comes from; NULL where that device is gone or it came from none.';
COMMENT ON COLUMN device_sync_queue.item_type IS
    'What is to be brought: context is what sync_device_context() brings, the rest is the application''s.';
COMMENT ON COLUMN device_sync_queue.item_id IS 'Which one, where there are several.';
COMMENT ON COLUMN device_sync_queue.source_version IS
    'The version of the source''s context that is to be brought, or a later one.';
COMMENT ON COLUMN device_sync_queue.available_at IS 'Not to be taken before this.';
COMMENT ON COLUMN device_sync_queue.claimed_at IS 'When it was taken last.';
COMMENT ON TABLE device_context_conflicts IS
    'Values that lost against another device''s: nothing that somebody wrote vanishes without a trace.';
COMMENT ON COLUMN device_context_conflicts.device_id IS 'The device in whose context the two met.';
COMMENT ON COLUMN device_context_conflicts.kept_value IS 'The value that stayed; NULL where the key was removed.';
COMMENT ON COLUMN device_context_conflicts.lost_value IS 'The value that had to go; NULL where it was a removal.';
COMMENT ON COLUMN device_context_conflicts.kept_device_id IS
    'Where the value that stayed was written; not a key, because the device may be gone.';
COMMENT ON COLUMN device_context_conflicts.lost_device_id IS
    'Where the value that had to go was written; not a key, because the device may be gone.';
COMMENT ON COLUMN device_context_conflicts.acknowledged_at IS 'When the person took note of it.';

-- However a context is written, its version and its stamps are right.
CREATE FUNCTION device_context_stamp() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    former jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE OLD.context END;
    former_stamps jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE OLD.key_stamps END;
    changed text;
BEGIN
    NEW.version := CASE WHEN TG_OP = 'INSERT' THEN 1
                        WHEN (NEW.context, NEW.key_stamps) = (OLD.context, OLD.key_stamps) THEN OLD.version ELSE OLD.version + 1 END;
    -- A statement that gives a changed key its stamp knows better who changed it, and when.
    FOR changed IN
        SELECT key FROM jsonb_object_keys(former || NEW.context) AS key
        WHERE NEW.context -> key IS DISTINCT FROM former -> key
          AND NEW.key_stamps -> key IS NOT DISTINCT FROM former_stamps -> key
    LOOP
        NEW.key_stamps := NEW.key_stamps || jsonb_build_object(changed, jsonb_build_object(
            'version', NEW.version,
            'changed_at', greatest(clock_timestamp(), (former_stamps -> changed ->> 'changed_at')::timestamptz + interval '1 microsecond'),
            'device_id', NEW.device_id));
    END LOOP;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION device_context_stamp() IS
    'Trigger: counts the version, and stamps the changed keys that the statement does not stamp itself.';

CREATE FUNCTION merge_device_context(
    for_device_id text,
    changes jsonb,
    change_stamps jsonb,
    base_version bigint,
    follows boolean DEFAULT false)
RETURNS device_context
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    stored device_context;
    merged jsonb;
    stamps jsonb;
    key text;
    value jsonb;
    stored_value jsonb;
    stamp jsonb;
    changed_at timestamptz;
    changed_by text;
    stored_changed_at timestamptz;
    stored_changed_by text;
    unseen boolean;
    wins boolean;
BEGIN
    INSERT INTO device_context (user_id, device_id)
    SELECT device.user_id, device.id FROM devices AS device WHERE device.id = for_device_id
    ON CONFLICT (device_id) DO NOTHING;
    SELECT * INTO stored FROM device_context AS own WHERE own.device_id = for_device_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no device %, or it is another person''s', for_device_id
            USING ERRCODE = 'no_data_found', HINT = 'Insert it into devices first.';
    END IF;
    merged := stored.context;
    stamps := stored.key_stamps;

    FOR key, stamp IN SELECT incoming.key, incoming.value FROM jsonb_each(change_stamps) AS incoming
    LOOP
        value := changes -> key;
        stored_value := stored.context -> key;
        changed_at := (stamp ->> 'changed_at')::timestamptz;
        changed_by := stamp ->> 'device_id';
        stored_changed_at := (stored.key_stamps -> key ->> 'changed_at')::timestamptz;
        stored_changed_by := stored.key_stamps -> key ->> 'device_id';
        unseen := coalesce((stored.key_stamps -> key ->> 'version')::bigint > base_version, false);

        IF follows AND NOT unseen THEN
            -- What follows a value is later than it, whatever the writer's clock says.
            changed_at := greatest(changed_at, stored_changed_at + interval '1 microsecond');
        END IF;
        wins := stored_changed_at IS NULL
            OR (changed_at, changed_by, coalesce(value::text, '')) > (stored_changed_at, stored_changed_by, coalesce(stored_value::text, ''));
        IF unseen AND changed_by <> stored_changed_by AND value IS DISTINCT FROM stored_value THEN
            INSERT INTO device_context_conflicts AS conflict
                (user_id, device_id, context_key, kept_value, kept_device_id, kept_changed_at, lost_value, lost_device_id, lost_changed_at)
            SELECT stored.user_id, for_device_id, key,
                   CASE WHEN wins THEN value ELSE stored_value END,
                   CASE WHEN wins THEN changed_by ELSE stored_changed_by END,
                   CASE WHEN wins THEN changed_at ELSE stored_changed_at END,
                   CASE WHEN wins THEN stored_value ELSE value END,
                   CASE WHEN wins THEN stored_changed_by ELSE changed_by END,
                   CASE WHEN wins THEN stored_changed_at ELSE changed_at END
            ON CONFLICT DO NOTHING;
        END IF;
        -- The stamp also of what is the same here, so that it goes on to the other devices.
        IF wins THEN
            merged := CASE WHEN value IS NULL THEN merged - key ELSE merged || jsonb_build_object(key, value) END;
            stamps := stamps || jsonb_build_object(key, jsonb_build_object(
                'version', stored.version + 1, 'changed_at', changed_at, 'device_id', changed_by));
        END IF;
    END LOOP;

    IF merged <> stored.context OR stamps <> stored.key_stamps THEN
        UPDATE device_context AS own SET context = merged, key_stamps = stamps
        WHERE own.id = stored.id
        RETURNING * INTO stored;
    END IF;
    RETURN stored;
END
$function$;
COMMENT ON FUNCTION merge_device_context(text, jsonb, jsonb, bigint, boolean) IS
    'Merges the keys that change_stamps names (a key that changes lacks is removed) into a device''s context: '
    'the rules stand at the top of device-continuity.sql. base_version is the version of it that the other side had seen; '
    'follows, that the changes were made on top of it. What save_device_context() and sync_device_context() share.';

CREATE FUNCTION save_device_context(
    for_device_id text,
    changes jsonb,
    base_version bigint DEFAULT NULL,
    made_at timestamptz DEFAULT clock_timestamp(),
    by_device_id text DEFAULT NULL)
RETURNS device_context
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    former bigint;
    saved device_context;
BEGIN
    IF jsonb_typeof(changes) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'changes must be a JSON object, its keys those of the context'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A key whose value is null is removed.';
    END IF;
    SELECT own.version INTO former FROM device_context AS own WHERE own.device_id = for_device_id;
    SELECT * INTO saved
    FROM merge_device_context(
        for_device_id,
        (SELECT coalesce(jsonb_object_agg(change.key, change.value), '{}')
         FROM jsonb_each(changes) AS change
         WHERE change.value <> 'null'),
        -- A clock that is ahead would win for ever.
        (SELECT coalesce(jsonb_object_agg(key, jsonb_build_object(
                    'changed_at', least(made_at, clock_timestamp()), 'device_id', coalesce(by_device_id, for_device_id))), '{}')
         FROM jsonb_object_keys(changes) AS key),
        coalesce(base_version, 9223372036854775807),
        follows => true);
    UPDATE devices AS device SET last_seen_at = now()
    WHERE device.id = coalesce(by_device_id, for_device_id) AND device.last_seen_at < now() - interval '1 minute';
    IF saved.version IS DISTINCT FROM former THEN
        -- An item that waits already is told the newer version, so that nobody takes it for done with the older one.
        INSERT INTO device_sync_queue AS item (user_id, source_device_id, target_device_id, item_type, source_version)
        SELECT device.user_id, for_device_id, device.id, 'context', saved.version
        FROM devices AS device
        WHERE device.user_id = saved.user_id AND device.id <> for_device_id AND device.is_active
        ORDER BY device.id
        ON CONFLICT (target_device_id, source_device_id) WHERE item_type = 'context' AND status = 'pending'
            DO UPDATE SET source_version = greatest(item.source_version, excluded.source_version);
    END IF;
    RETURN saved;
END
$function$;
COMMENT ON FUNCTION save_device_context(text, jsonb, bigint, timestamptz, text) IS
    'Changes keys of a device''s context (null removes one) and queues that for the person''s other devices. '
    'base_version is the version that the writer had seen, NULL where it may overwrite; '
    'by_device_id the device that writes where that is another one. Returns the context as it is then.';

CREATE FUNCTION sync_device_context(from_device_id text, to_device_id text) RETURNS device_context
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    source device_context;
    target device_context;
    brought jsonb;
    seen jsonb;
BEGIN
    SELECT own.* INTO source
    FROM device_context AS own
    JOIN devices AS there ON there.id = to_device_id AND there.user_id = own.user_id
    WHERE own.device_id = from_device_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'device % has no context, or device % is not the same person''s', from_device_id, to_device_id
            USING ERRCODE = 'no_data_found';
    END IF;
    -- Locked before its bookkeeping is read: of two that bring the same, the second finds it brought.
    SELECT * INTO target FROM merge_device_context(to_device_id, '{}', '{}', 0);
    brought := target.synced_versions -> from_device_id;
    seen := source.synced_versions -> to_device_id;
    SELECT * INTO target
    FROM merge_device_context(
        to_device_id,
        source.context,
        -- A context that was deleted and made anew has another id, and counts from one again.
        (SELECT coalesce(jsonb_object_agg(stamp.key, stamp.value), '{}')
         FROM jsonb_each(source.key_stamps) AS stamp
         WHERE (brought ->> 'id' = source.id::text AND (stamp.value ->> 'version')::bigint <= (brought ->> 'version')::bigint) IS NOT TRUE),
        CASE WHEN seen ->> 'id' = target.id::text THEN (seen ->> 'version')::bigint ELSE 0 END);
    UPDATE device_context AS own
    SET synced_versions = own.synced_versions
        || jsonb_build_object(from_device_id, jsonb_build_object('id', source.id, 'version', source.version))
    WHERE own.id = target.id
    RETURNING * INTO target;
    UPDATE device_sync_queue AS item SET status = 'synced', synced_at = now(), error_message = NULL
    WHERE item.target_device_id = to_device_id AND item.source_device_id = from_device_id
      AND item.item_type = 'context' AND item.status IN ('pending', 'in_progress') AND item.source_version <= source.version;
    RETURN target;
END
$function$;
COMMENT ON FUNCTION sync_device_context(text, text) IS
    'Brings what changed in the context of one device since the last time to another device of the same person, '
    'and returns the other''s context as it is then. The queue''s item for it is done with that.';

CREATE FUNCTION claim_device_sync(for_device_id text, max_items integer DEFAULT 20) RETURNS SETOF device_sync_queue
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    -- An item whose device went silent with it is given out again, until it was tried often enough.
    UPDATE device_sync_queue AS item
    SET status = 'failed', error_message = coalesce(item.error_message, format('not done after %s attempts', item.attempts))
    WHERE item.target_device_id = for_device_id AND item.status = 'in_progress'
      AND item.claimed_at < now() - interval '5 minutes' AND item.attempts >= item.max_attempts;
    RETURN QUERY
        UPDATE device_sync_queue AS item
        SET status = 'in_progress', claimed_at = now(), attempts = item.attempts + 1
        WHERE item.id IN (
            SELECT due.id
            FROM device_sync_queue AS due
            WHERE due.target_device_id = for_device_id
              AND due.status IN ('pending', 'in_progress')
              AND (due.status = 'pending' OR due.claimed_at < now() - interval '5 minutes')
              AND due.available_at <= now() AND due.attempts < due.max_attempts
            ORDER BY due.priority DESC, due.created_at
            LIMIT max_items
            FOR UPDATE SKIP LOCKED)
        RETURNING item.*;
END
$function$;
COMMENT ON FUNCTION claim_device_sync(text, integer) IS
    'Takes what waits for a device, the most urgent first, each item by one caller only. '
    'Who is done sets status to synced; an item not done within five minutes is given out again, max_attempts times.';

CREATE FUNCTION device_context_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    UPDATE device_sync_queue AS item SET source_version = 0
    WHERE item.source_device_id = OLD.device_id AND item.item_type = 'context' AND item.status IN ('pending', 'in_progress');
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION device_context_forget() IS
    'Trigger: a context that is deleted and made anew counts from one again, and so does what waits of it.';

CREATE TRIGGER device_context_forget
    AFTER DELETE ON device_context
    FOR EACH ROW EXECUTE FUNCTION device_context_forget();

CREATE TRIGGER device_context_stamp
    BEFORE INSERT OR UPDATE OF context, key_stamps, version ON device_context
    FOR EACH ROW EXECUTE FUNCTION device_context_stamp();

CREATE TRIGGER devices_set_updated_at
    BEFORE UPDATE ON devices
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER device_context_general_project BEFORE INSERT OR UPDATE ON device_context
    FOR EACH ROW WHEN (NEW.project_id = 'general') EXECUTE FUNCTION general_project_is_none();
CREATE TRIGGER device_context_set_updated_at
    BEFORE UPDATE ON device_context
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER device_sync_queue_set_updated_at
    BEFORE UPDATE ON device_sync_queue
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE device_context ENABLE ROW LEVEL SECURITY;
ALTER TABLE device_sync_queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE device_context_conflicts ENABLE ROW LEVEL SECURITY;

CREATE POLICY devices_owner ON devices
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY device_context_owner ON device_context
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (
        user_id = (SELECT requesting_user_id())
        AND EXISTS (
            SELECT FROM devices AS d
            WHERE d.id = device_context.device_id AND d.user_id = (SELECT requesting_user_id()))
        AND (conversation_id IS NULL OR EXISTS (
            SELECT FROM conversations AS c
            WHERE c.id = device_context.conversation_id AND c.user_id = (SELECT requesting_user_id())))
        AND (project_id IS NULL OR EXISTS (
            SELECT FROM projects AS p
            WHERE p.id = device_context.project_id AND p.owner_id = (SELECT requesting_user_id()))));
CREATE POLICY device_sync_queue_owner ON device_sync_queue
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (
        user_id = (SELECT requesting_user_id())
        AND EXISTS (
            SELECT FROM devices AS d
            WHERE d.id = device_sync_queue.target_device_id AND d.user_id = (SELECT requesting_user_id()))
        AND (source_device_id IS NULL OR EXISTS (
            SELECT FROM devices AS d
            WHERE d.id = device_sync_queue.source_device_id AND d.user_id = (SELECT requesting_user_id()))));
CREATE POLICY device_context_conflicts_owner ON device_context_conflicts
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (
        user_id = (SELECT requesting_user_id())
        AND EXISTS (
            SELECT FROM devices AS d
            WHERE d.id = device_context_conflicts.device_id AND d.user_id = (SELECT requesting_user_id())));
