-- What check_reach.sql saw signs of: what did the script do in other schemas?
DECLARE
    others constant oid[] := current_setting('kimbledb.others');
    target constant oid := quote_ident({schema_literal})::regnamespace;
    -- The transaction; its age and its epoch, to read a row's 32-bit xmin.
    top constant xid8 := pg_current_xact_id();
    span constant integer := age(top::xid);
    epoch constant numeric := top::text::numeric - top::xid::text::numeric;
    before constant refcursor := 'kimbledb_before';
    dropped record;
    relations oid[];
    objects oid[];
    reached text[];
BEGIN
    -- Relations that were made, altered or dropped; functions and types that were dropped,
    -- types whose values were altered. These locks last as long as the transaction.
    SELECT array_agg(l.relation) FILTER (WHERE l.locktype = 'relation'), array_agg(l.objid) FILTER (WHERE l.locktype = 'object')
    INTO relations, objects
    FROM pg_locks AS l
    LEFT JOIN pg_class AS c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid()
      AND CASE l.locktype
              WHEN 'relation' THEN l.relation >= 16384 AND (c.oid IS NULL OR c.relnamespace = ANY (others))
                  AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
              WHEN 'object' THEN l.classid IN ('pg_proc'::regclass, 'pg_type'::regclass)
                  AND l.mode IN ('ExclusiveLock', 'AccessExclusiveLock')
          END;
    -- Rows that are visible while who wrote them is in progress are of this transaction, or of a part of it.
    SELECT array_agg(format('%s %s was made or altered', kind, name)) FILTER (WHERE kind <> 'relation'),
           relations || array_agg(oid) FILTER (WHERE kind = 'relation')
    INTO reached, relations
    FROM (
        SELECT 'schema', oid, oid::regnamespace::text, xmin FROM pg_namespace WHERE oid = ANY (others) AND age(xmin) <= span
        UNION ALL
        SELECT 'relation', oid, NULL, xmin FROM pg_class WHERE relnamespace = ANY (others) AND age(xmin) <= span
        UNION ALL
        SELECT 'function', oid, oid::regprocedure::text, xmin FROM pg_proc WHERE pronamespace = ANY (others) AND age(xmin) <= span
        UNION ALL
        -- A relation's own type comes with it, and an array's with that of its elements.
        SELECT 'type', oid, oid::regtype::text, xmin FROM pg_type
        WHERE typnamespace = ANY (others) AND age(xmin) <= span AND typrelid = 0 AND typcategory <> 'A'
    ) AS written (kind, oid, name, writer)
    WHERE pg_xact_status((epoch + writer::text::numeric)::text::xid8) = 'in progress';
    reached := reached || ARRAY(
        SELECT format('%s was made or altered', c.oid::regclass)
        FROM pg_class AS c
        WHERE c.oid = ANY (relations)
          -- A foreign key may point to another schema's table; it locks that one, too.
          AND NOT (EXISTS (SELECT FROM pg_constraint AS k WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.connamespace = target)
                   AND NOT EXISTS (SELECT FROM pg_locks AS l
                                   WHERE l.pid = pg_backend_pid() AND l.relation = c.oid
                                     AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ExclusiveLock', 'AccessExclusiveLock'))));
    reached := reached || ARRAY(
        SELECT format('type %s was altered', oid::regtype)
        FROM pg_type
        WHERE oid = ANY (objects) AND typnamespace = ANY (others));
    -- What has gone can only be seen in the state before.
    PERFORM set_config('kimbledb.gone', (relations || objects)::text, true);
    IF NOT EXISTS (SELECT FROM pg_cursors WHERE name = before::text) THEN
        reached := reached || 'what it dropped cannot be told, since it closed all cursors (CLOSE ALL)'::text;
    ELSE
        LOOP
            FETCH before INTO dropped;
            EXIT WHEN NOT FOUND;
            IF dropped.namespace = ANY (others) AND NOT EXISTS (
                SELECT FROM pg_depend AS d
                WHERE d.classid = dropped.classid AND d.objid = dropped.objid AND d.refclassid = 'pg_namespace'::regclass
            ) THEN
                reached := reached || format('a %s of the schema %s was dropped',
                    CASE dropped.classid WHEN 'pg_class'::regclass THEN 'relation' WHEN 'pg_proc'::regclass THEN 'function' ELSE 'type' END,
                    dropped.namespace::regnamespace);
            END IF;
        END LOOP;
    END IF;
    IF reached <> '{}' THEN
        RAISE EXCEPTION USING ERRCODE = 'KD004',
            MESSAGE = 'the script reached outside of the target schema: '
                || (SELECT string_agg(DISTINCT what, ', ') FROM unnest(reached) AS each (what)),
            HINT = 'name only objects of the target schema; extensions are declared under `extensions` in migration.toml';
    END IF;
END
