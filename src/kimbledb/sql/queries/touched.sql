-- The objects that the open transaction has touched, and a snapshot of these alone: the cost grows with the
-- transaction, not with the schema. It answers twice: with the touched objects, and with the snapshot. It takes the
-- snapshot of all objects if the forms of others may have changed, or if the argument "everything" asks for it.
DECLARE
    shown refcursor;
    answer text;
    homes constant oid[] := ARRAY(SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = ANY ({schemas}));
    takes_all boolean := true;
    -- The names of roles stand in privileges and policies, and not every role may see how old their rows are.
    head jsonb := jsonb_build_object('roles', (SELECT md5(string_agg(r.oid || r.rolname, ',' ORDER BY r.oid)) FROM pg_roles AS r));
    -- Arrays, since the server would take a third of each catalog for young, and plan for that.
    classes oid[];
    numbers oid[];
    named_classes oid[];
    named_numbers oid[];
    named_names name[];
    new_ones boolean[];
BEGIN
    IF NOT everything THEN
        -- After this, age() counts from the id of this transaction.
        PERFORM pg_current_xact_id();
        SELECT array_agg(class), array_agg(oid) INTO classes, numbers
        FROM (
            SELECT CASE l.locktype WHEN 'relation' THEN 'pg_class'::regclass ELSE l.classid END, coalesce(l.relation, l.objid)
            FROM pg_locks AS l
            WHERE l.pid = pg_backend_pid() AND l.locktype IN ('relation', 'object')
              AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
              AND l.database IN (0, (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))
            UNION
            SELECT 'pg_class'::regclass, c.oid FROM pg_class AS c WHERE age(c.xmin) <= 0
            UNION
            SELECT 'pg_class'::regclass, a.attrelid FROM pg_attribute AS a WHERE age(a.xmin) <= 0
            UNION
            SELECT 'pg_class'::regclass, d.adrelid FROM pg_attrdef AS d WHERE age(d.xmin) <= 0
            UNION
            SELECT 'pg_class'::regclass, i.indrelid FROM pg_index AS i WHERE age(i.xmin) <= 0
            UNION
            SELECT 'pg_class'::regclass, i.inhrelid FROM pg_inherits AS i WHERE age(i.xmin) <= 0
            UNION
            SELECT 'pg_class'::regclass, p.partrelid FROM pg_partitioned_table AS p WHERE age(p.xmin) <= 0
            UNION
            SELECT 'pg_class'::regclass, f.ftrelid FROM pg_foreign_table AS f WHERE age(f.xmin) <= 0
            UNION
            SELECT 'pg_class'::regclass, s.seqrelid FROM pg_sequence AS s WHERE age(s.xmin) <= 0
            UNION
            SELECT con.tableoid, con.oid FROM pg_constraint AS con WHERE age(con.xmin) <= 0
            UNION
            SELECT t.tableoid, t.oid FROM pg_trigger AS t WHERE age(t.xmin) <= 0
            UNION
            SELECT p.tableoid, p.oid FROM pg_policy AS p WHERE age(p.xmin) <= 0
            UNION
            SELECT r.tableoid, r.oid FROM pg_rewrite AS r WHERE age(r.xmin) <= 0
            UNION
            SELECT s.tableoid, s.oid FROM pg_statistic_ext AS s WHERE age(s.xmin) <= 0
            UNION
            SELECT t.tableoid, t.oid FROM pg_type AS t WHERE age(t.xmin) <= 0
            UNION
            SELECT 'pg_type'::regclass, e.enumtypid FROM pg_enum AS e WHERE age(e.xmin) <= 0
            UNION
            SELECT p.tableoid, p.oid FROM pg_proc AS p WHERE age(p.xmin) <= 0
            UNION
            SELECT d.classoid, d.objoid FROM pg_description AS d WHERE age(d.xmin) <= 0
        ) AS touched (class, oid);

        SELECT array_agg(home.class), array_agg(home.oid) INTO classes, numbers
        FROM (
            SELECT touched.class, touched.oid FROM unnest(classes, numbers) AS touched (class, oid)
            UNION
            SELECT part.class, part.oid
            FROM unnest(classes, numbers) AS touched (class, oid)
            CROSS JOIN LATERAL ({part_of:touched}) AS part (class, oid)
        ) AS home (class, oid);

        SELECT array_agg(named.class), array_agg(named.oid), array_agg(named.name), array_agg(named.is_new)
        INTO named_classes, named_numbers, named_names, new_ones
        FROM (
            -- The row type is as old as its table.
            SELECT home.class, c.oid, c.relname,
                   c.relkind = 'S' OR EXISTS (SELECT FROM pg_type AS t WHERE t.oid = c.reltype AND age(t.xmin) <= 0)
            FROM unnest(classes, numbers) AS home (class, oid)
            JOIN pg_class AS c ON c.oid = home.oid
            WHERE home.class = 'pg_class'::regclass AND c.relnamespace = ANY (homes)
            UNION ALL
            SELECT home.class, p.oid, p.proname, true
            FROM unnest(classes, numbers) AS home (class, oid)
            JOIN pg_proc AS p ON p.oid = home.oid
            WHERE home.class = 'pg_proc'::regclass AND p.pronamespace = ANY (homes)
            UNION ALL
            SELECT home.class, t.oid, t.typname, true
            FROM unnest(classes, numbers) AS home (class, oid)
            JOIN pg_type AS t ON t.oid = home.oid
            WHERE home.class = 'pg_type'::regclass AND t.typnamespace = ANY (homes)
              AND (t.typrelid = 0 OR (SELECT c.relkind FROM pg_class AS c WHERE c.oid = t.typrelid) = 'c')
        ) AS named (class, oid, name, is_new);

        takes_all :=
            -- A name that another object has decides how the server prints that one, and a function which of several is meant.
            EXISTS (
                SELECT FROM unnest(named_classes, named_numbers, named_names, new_ones) AS named (class, oid, name, is_new)
                JOIN pg_class AS c ON c.relname = named.name
                WHERE named.is_new AND named.class = 'pg_class'::regclass AND c.oid <> named.oid)
            OR EXISTS (
                SELECT FROM unnest(named_classes, named_numbers, named_names, new_ones) AS named (class, oid, name, is_new)
                JOIN pg_type AS t ON t.typname = named.name
                WHERE named.is_new AND named.class IN ('pg_class'::regclass, 'pg_type'::regclass)
                  AND CASE named.class WHEN 'pg_type'::regclass THEN t.oid ELSE t.typrelid END <> named.oid)
            OR EXISTS (
                SELECT FROM unnest(named_classes, named_numbers, named_names) AS named (class, oid, name)
                JOIN pg_proc AS p ON p.proname = named.name
                WHERE named.class = 'pg_proc'::regclass AND p.oid <> named.oid)
            -- The other kinds are rare, and may change the forms of many objects.
            OR EXISTS (
                SELECT FROM unnest(classes) AS class
                WHERE class NOT IN (
                    'pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass,
                    'pg_attrdef'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass, 'pg_rewrite'::regclass,
                    'pg_statistic_ext'::regclass))
            -- No other sign shows these: a dropped mapping, and a row that a script deletes from a catalog.
            OR EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_ts_config'::regclass AND age(xmin) <= 0)
            OR EXISTS (
                SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
                WHERE l.pid = pg_backend_pid() AND l.mode = 'RowExclusiveLock' AND c.oid < 16384 AND c.relkind = 'i')
            OR EXISTS (SELECT FROM pg_namespace WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_default_acl WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_init_privs WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_extension WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_auth_members WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_tablespace WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_foreign_server WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_language WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_transform WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_range WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_aggregate WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_cast WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_am WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_operator WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_opfamily WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_opclass WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_amop WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_amproc WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_collation WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_conversion WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_ts_parser WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_ts_template WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_ts_dict WHERE age(xmin) <= 0)
            OR EXISTS (SELECT FROM pg_ts_config WHERE age(xmin) <= 0) OR EXISTS (SELECT FROM pg_ts_config_map WHERE age(xmin) <= 0);

        head := head || jsonb_build_object(
            'touched', (SELECT jsonb_agg(jsonb_build_array(class::regclass::text, oid::bigint))
                        FROM unnest(classes, numbers) AS home (class, oid)),
            -- Those that the forms of others may show: of keys that refer to a table, its columns' names are all.
            'shown', (
                SELECT jsonb_agg(jsonb_build_array(named.class::regclass::text, named.oid::bigint))
                FROM unnest(named_classes, named_numbers) AS named (class, oid)
                WHERE EXISTS (
                    SELECT
                    FROM (
                        SELECT named.class, named.oid
                        UNION ALL
                        SELECT 'pg_type'::regclass, c.reltype FROM pg_class AS c
                        WHERE named.class = 'pg_class'::regclass AND c.oid = named.oid AND c.reltype <> 0
                    ) AS needed (class, oid)
                    JOIN pg_depend AS d ON d.refclassid = needed.class AND d.refobjid = needed.oid
                    CROSS JOIN LATERAL (SELECT d.classid, d.objid) AS dependent (class, oid)
                    LEFT JOIN LATERAL ({part_of:dependent}) AS part (class, oid) ON true
                    -- Its own parts, its type and their defaults are touched with it.
                    WHERE (part.class, part.oid) IS DISTINCT FROM (named.class::oid, named.oid)
                      AND d.deptype <> 'i' AND NOT (d.refobjsubid > 0 AND d.deptype = 'a' AND d.classid = 'pg_class'::regclass)
                      AND NOT EXISTS (SELECT FROM pg_attrdef AS e
                                      WHERE d.classid = 'pg_attrdef'::regclass AND e.oid = d.objid AND e.adrelid = named.oid)
                      AND NOT EXISTS (SELECT FROM pg_constraint AS con
                                      WHERE d.classid = 'pg_constraint'::regclass AND con.oid = d.objid AND con.contype = 'f'))));
    END IF;
    RAISE INFO USING MESSAGE = (head || jsonb_build_object('whole', takes_all))::text, ERRCODE = 'KD100';
    IF takes_all THEN
        OPEN shown FOR
{all};
    ELSE
        OPEN shown FOR
{some};
    END IF;
    PERFORM set_config('search_path', {path}, true);
    FETCH shown INTO answer;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    RAISE INFO USING MESSAGE = answer, ERRCODE = 'KD100';
END
