-- Names what the script did in other schemas, after check_reach.sql has seen signs of it.
DECLARE
    others constant oid[] := current_setting('kimbledb.others');
    -- The objects that the migration declares in `reaches`, as schema.object.
    reaches constant text[] := {reaches};
    -- The transaction; its age and its epoch, to read a row's 32-bit xmin.
    top constant xid8 := pg_current_xact_id();
    span constant integer := age(top::xid);
    epoch constant numeric := top::text::numeric - top::xid::text::numeric;
    schemas constant jsonb := current_setting('kimbledb.schemas');
    before constant refcursor := 'kimbledb_before';
    suspects constant oid[] := ARRAY(
        SELECT (each->>'oid')::oid
        FROM jsonb_array_elements(coalesce(nullif(current_setting('kimbledb.suspects', true), ''), '[]')::jsonb) AS each);
    dropped record;
    relations oid[];
    objects oid[];
    extensions oid[];
    -- Relations of which a referring foreign key was dropped, and those of which a part was dropped.
    freed oid[] := '{}';
    bared oid[] := '{}';
    -- Each as [what, name in `reaches`].
    reached jsonb := '[]';
    shown text[];
    names text[];
    places text;
BEGIN
    -- Relations that were made, altered or dropped; functions and types that were dropped,
    -- types whose values were altered. These locks last as long as the transaction.
    SELECT array_agg(l.relation) FILTER (WHERE l.locktype = 'relation'), array_agg(l.objid) FILTER (WHERE l.locktype = 'object')
    INTO relations, objects
    FROM pg_locks AS l
    LEFT JOIN pg_class AS c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid()
      AND CASE l.locktype
              -- A try without keep_values.sql has checked the relations that keep_values.sql locks.
              WHEN 'relation' THEN l.relation >= 16384 AND (c.oid IS NULL OR c.relnamespace = ANY (others)) AND l.relation <> ALL (suspects)
                  AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
              WHEN 'object' THEN l.classid IN ('pg_proc'::regclass, 'pg_type'::regclass)
                  AND l.mode IN ('ExclusiveLock', 'AccessExclusiveLock')
          END;
    -- A visible row whose transaction is in progress is of this transaction, or of a savepoint of it.
    SELECT array_agg(e.oid) INTO extensions
    FROM pg_extension AS e
    WHERE CASE WHEN age(e.xmin) <= span THEN pg_xact_status((epoch + e.xmin::text::numeric)::text::xid8) = 'in progress' END
      AND (e.extnamespace = ANY (others)
           OR EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
                        AND d.classid = 'pg_namespace'::regclass AND d.objid = ANY (others)));
    SELECT jsonb_agg(jsonb_build_array(format('%s %s %s made or altered', w.kind, w.name, CASE WHEN w.kind LIKE 'default %' THEN 'were' ELSE 'was' END), w.place)) FILTER (WHERE w.kind <> 'relation'),
           relations || array_agg(w.oid) FILTER (WHERE w.kind = 'relation')
    INTO reached, relations
    FROM (
        SELECT 'schema', oid, oid::regnamespace::text, nspname::text, xmin, 'pg_namespace'::regclass
        FROM pg_namespace WHERE oid = ANY (others) AND age(xmin) <= span
        UNION ALL
        SELECT 'default privileges of the schema', d.oid, n.oid::regnamespace::text, n.nspname::text, d.xmin, 'pg_default_acl'::regclass
        FROM pg_default_acl AS d JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
        WHERE n.oid = ANY (others) AND age(d.xmin) <= span
        UNION ALL
        SELECT 'relation', oid, NULL, NULL, xmin, 'pg_class'::regclass
        FROM pg_class WHERE relnamespace = ANY (others) AND age(xmin) <= span
        UNION ALL
        SELECT 'function', oid, oid::regprocedure::text, (SELECT nspname FROM pg_namespace WHERE oid = pronamespace) || '.' || proname, xmin, 'pg_proc'::regclass
        FROM pg_proc WHERE pronamespace = ANY (others) AND age(xmin) <= span
        UNION ALL
        -- The row type of a relation comes with the relation, and an array type with its element type.
        SELECT 'type', oid, oid::regtype::text, (SELECT nspname FROM pg_namespace WHERE oid = typnamespace) || '.' || typname, xmin, 'pg_type'::regclass
        FROM pg_type WHERE typnamespace = ANY (others) AND age(xmin) <= span AND typrelid = 0 AND typcategory <> 'A'
    ) AS w (kind, oid, name, place, writer, class)
    WHERE pg_xact_status((epoch + w.writer::text::numeric)::text::xid8) = 'in progress'
      -- The objects of an extension come with it.
      AND NOT EXISTS (SELECT FROM pg_depend AS d
                      WHERE d.classid = w.class AND d.objid = w.oid AND d.deptype = 'e' AND d.refobjid = ANY (extensions));
    reached := coalesce(reached, '[]');
    reached := reached || coalesce((
        SELECT jsonb_agg(jsonb_build_array(format('type %s was altered', oid::regtype), (SELECT nspname FROM pg_namespace WHERE oid = typnamespace) || '.' || typname))
        FROM pg_type
        WHERE oid = ANY (objects) AND typnamespace = ANY (others)), '[]');
    -- Dropped objects show only in the state before.
    PERFORM set_config('kimbledb.gone', coalesce(relations || objects, '{}')::text, true),
            set_config('kimbledb.held', ARRAY(SELECT oid FROM pg_class WHERE oid = ANY (relations) AND relnamespace = ANY (others))::text, true);
    IF NOT EXISTS (SELECT FROM pg_cursors WHERE name = before::text) THEN
        reached := reached || '[["what it dropped cannot be told, since it closed all cursors (CLOSE ALL)", null]]';
    ELSE
        LOOP
            FETCH before INTO dropped;
            EXIT WHEN NOT FOUND;
            IF dropped.tie IS NOT NULL THEN
                IF NOT EXISTS (SELECT FROM pg_depend AS d
                               WHERE d.classid = dropped.classid AND d.objid = dropped.objid
                                 AND d.refclassid = 'pg_class'::regclass AND d.refobjid = dropped.namespace) THEN
                    -- A part of the table itself has another kind of dependence, too, unlike one of a referring table.
                    IF dropped.tie <> 'n' THEN
                        bared := bared || dropped.namespace;
                    ELSIF dropped.classid = 'pg_constraint'::regclass THEN
                        freed := freed || dropped.namespace;
                    END IF;
                END IF;
            ELSIF dropped.namespace = ANY (others) AND NOT EXISTS (
                SELECT FROM pg_depend AS d
                WHERE d.classid = dropped.classid AND d.objid = dropped.objid AND d.refclassid = 'pg_namespace'::regclass
            ) THEN
                reached := reached || jsonb_build_array(jsonb_build_array(
                    format('a %s of the schema %s was dropped',
                        CASE dropped.classid WHEN 'pg_class'::regclass THEN 'relation' WHEN 'pg_proc'::regclass THEN 'function' ELSE 'type' END
                            || coalesce(' ' || quote_ident(dropped.name), ''),
                        dropped.namespace::regnamespace),
                    schemas->>dropped.namespace::text || '.' || coalesce(dropped.home, dropped.name, '*')));
            END IF;
        END LOOP;
    END IF;
    reached := reached || coalesce((
        SELECT jsonb_agg(jsonb_build_array(format('%s was made or altered', c.oid::regclass),
                         (SELECT nspname FROM pg_namespace WHERE oid = c.relnamespace) || '.' || coalesce(t.relname, s.relname, c.relname)))
        FROM pg_class AS c
        -- An index, or the sequence of a column, belongs to its table.
        LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
        LEFT JOIN pg_class AS t ON t.oid = i.indrelid
        LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND c.relkind = 'S'
            AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        LEFT JOIN pg_class AS s ON s.oid = d.refobjid
        WHERE c.oid = ANY (relations) AND c.relnamespace = ANY (others)
          AND NOT EXISTS (SELECT FROM pg_depend AS e
                          WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e' AND e.refobjid = ANY (extensions))
          -- A foreign key may point to another schema's table: to make it locks that one as to make a trigger does, and to
          -- drop it as to alter the table does. Nothing of the table itself is new then.
          AND NOT (
              CASE WHEN EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = pg_backend_pid() AND l.relation = c.oid AND l.mode = 'AccessExclusiveLock')
                  THEN c.oid = ANY (freed) AND c.oid <> ALL (bared)
                  ELSE EXISTS (SELECT FROM pg_constraint AS k
                               JOIN pg_class AS r ON r.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = r.relnamespace
                               WHERE k.confrelid = c.oid AND k.contype = 'f'
                                 AND (n.oid <> ALL (others) OR n.nspname || '.' || r.relname = ANY (reaches)))
              END
              AND NOT EXISTS (SELECT FROM pg_locks AS l
                              WHERE l.pid = pg_backend_pid() AND l.relation = c.oid
                                AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ExclusiveLock'))
              AND NOT EXISTS (
                  SELECT FROM (
                      SELECT xmin FROM pg_trigger WHERE tgrelid = c.oid AND (NOT tgisinternal OR tgenabled <> 'O')
                      UNION ALL
                      SELECT xmin FROM pg_attribute WHERE attrelid = c.oid
                      UNION ALL
                      SELECT xmin FROM pg_attrdef WHERE adrelid = c.oid
                      UNION ALL
                      SELECT xmin FROM pg_constraint WHERE conrelid = c.oid
                      UNION ALL
                      SELECT xmin FROM pg_policy WHERE polrelid = c.oid
                      UNION ALL
                      SELECT xmin FROM pg_rewrite WHERE ev_class = c.oid
                      UNION ALL
                      -- A first foreign key marks the table.
                      SELECT xmin FROM pg_class WHERE oid = c.oid AND c.oid = ANY (freed)
                  ) AS own (writer)
                  WHERE age(own.writer) <= span AND pg_xact_status((epoch + own.writer::text::numeric)::text::xid8) = 'in progress'))), '[]');
    reached := reached || coalesce((
        SELECT jsonb_agg(jsonb_build_array(format('the schema %I was dropped', name), name))
        FROM jsonb_each_text(schemas) AS each (oid, name)
        WHERE each.oid::oid NOT IN (SELECT oid FROM pg_namespace) AND name <> ALL ({whole}) AND name !~ '^pg_'), '[]');
    IF extensions IS NOT NULL THEN
        reached := jsonb_build_array(jsonb_build_array(
            format('the extension %s was made', (SELECT string_agg(extname, ', ') FROM pg_extension WHERE oid = ANY (extensions))), NULL)) || reached;
    END IF;
    SELECT array_agg(DISTINCT one->>0), array_agg(DISTINCT one->>1) FILTER (WHERE one->>1 IS NOT NULL) INTO shown, names
    FROM jsonb_array_elements(reached) AS one
    WHERE (one->>1 = ANY (reaches)) IS NOT TRUE;
    places := to_jsonb(names[:20])::text;
    -- The schema stands for many objects of it, and a new schema for its objects.
    SELECT array_agg(DISTINCT CASE WHEN many.itself THEN 'schema ' || many.schema WHEN many.count > 3 THEN many.schema || '.*' ELSE many.name END)
    INTO names
    FROM (SELECT each, split_part(each, '.', 1), count(*) OVER home, bool_or(strpos(each, '.') = 0) OVER home
          FROM unnest(names) AS each WINDOW home AS (PARTITION BY split_part(each, '.', 1)))
        AS many (name, schema, count, itself);
    IF shown IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'KD004', DETAIL = coalesce(places, '[]'),
            MESSAGE = 'the script reached outside of the target schema: ' || array_to_string(shown[:5], ', ')
                || CASE WHEN cardinality(shown) > 5 THEN format(' and %s more', cardinality(shown) - 5) ELSE '' END,
            HINT = CASE WHEN extensions IS NOT NULL THEN 'name extensions under `extensions` in migration.toml, or after `-- kimbledb:` at the head of the script: they are made before it'
                   ELSE 'name only objects of the target schema' END
                || CASE WHEN EXISTS (SELECT FROM unnest(names) AS each WHERE each LIKE 'public.%') THEN ' (or migrate the schema public: schema="public", --schema public)' ELSE '' END
                || CASE WHEN names IS NULL THEN ''
                   ELSE format('; if this is meant, say so in migration.toml, or after `-- kimbledb:` at the head of the script: reaches = [%s%s]',
                       (SELECT string_agg(to_json(each)::text, ', ') FROM unnest(names[:5]) AS each),
                       CASE WHEN cardinality(names) > 5 THEN ', ...' ELSE '' END) END;
    END IF;
END
