-- After a script: may rows or values that existed before it (measure_before.sql) be lost? Most scripts lose nothing,
-- and a look for signs is cheaper than a count. If the rows were not counted before, the script runs again. A part of
-- check_script.sql, which has the locks.
DECLARE
    before constant jsonb := current_setting('kimbledb.before');
    light constant boolean := before ? 'light';
    large_objects constant oid := 'pg_largeobject_metadata'::regclass;
    span constant integer := age(pg_current_xact_id()::xid);
    signs boolean;
    counted boolean;
BEGIN
    -- The new objects on tables that existed before: by it a rollback tells them from objects made by hand.
    IF shaped IS NOT NULL THEN
        IF EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = ANY (shaped) AND deptype = 'a' AND age(xmin) <= span) THEN
            PERFORM set_config('kimbledb.made', coalesce(jsonb_agg(kind || ' ' || name), '[]')::text, true)
            FROM (
{parts}
            ) AS part (kind, name, owner, writer)
            WHERE owner = ANY (shaped) AND age(writer) <= span;
        END IF;
    END IF;
    counted := EXISTS (
        SELECT FROM unnest(written || large_objects) AS held
        WHERE pg_stat_get_xact_tuples_deleted(held) + pg_stat_get_xact_tuples_updated(held)
            > coalesce((before->'counts'->held::text->>0)::bigint + (before->'counts'->held::text->>1)::bigint, 0));
    signs := counted OR {reporting} OR current_setting('kimbledb.suspects') <> '[]'
        OR NOT ((before->>'counting')::boolean AND current_setting('track_counts')::boolean);
    IF written IS NOT NULL AND NOT signs THEN
        -- The file of a table that was never rewritten has the oid of the table as its number.
        SELECT coalesce(bool_or(
                   c.oid IS NULL AND (light OR before->'relations' ? held::text)
                   OR c.relkind = 'f' OR before->'sequences' ? held::text
                   OR (coalesce(c.relkind::text, before->'relations'->held::text->>1) = 'S' AND held = ANY (shaped))
                   OR CASE WHEN c.relkind IN ('r', 'm') AND held = ANY (changed) THEN
                          c.relfilenode <> CASE WHEN light THEN held ELSE (before->'relations'->held::text->>2)::oid END
                          OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = held AND a.attnum > 0 AND a.attisdropped AND age(a.xmin) <= span)
                             AND pg_relation_size(held) > 0 END), false)
        INTO signs
        FROM unnest(written) AS held LEFT JOIN pg_class AS c ON c.oid = held;
    END IF;
    IF signs THEN
        PERFORM set_config('kimbledb.written', (written || large_objects)::text, true), set_config('kimbledb.counted', counted::text, true),
                set_config('kimbledb.changed', coalesce(changed, '{}')::text, true), set_config('kimbledb.shaped', coalesce(shaped, '{}')::text, true);
{losses};
    END IF;
END;
