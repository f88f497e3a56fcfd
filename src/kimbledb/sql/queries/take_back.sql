-- Directly after the script of a closed catalog: its objects start closed. PUBLIC and the roles of a hosted platform
-- lose the default privileges on the tables, views, sequences and routines that the script made.
DECLARE
    -- A script that runs statement by statement continues with its own path.
    path constant text := pg_catalog.current_setting('search_path');
    older constant pg_catalog.refcursor := 'kimbledb_older';
    -- The transaction; its age and its epoch, to read a row's 32-bit xmin.
    top constant pg_catalog.xid8 := pg_catalog.pg_current_xact_id();
    span integer;
    epoch numeric;
    closed_to oid[];
    names text[];
    relations oid[];
    routines oid[];
    was record;
    each record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    span := age(top::xid);
    epoch := top::text::numeric - top::xid::text::numeric;
    IF NOT EXISTS (SELECT FROM pg_cursors WHERE name = older::text) THEN
        RAISE EXCEPTION USING ERRCODE = 'KD010',
            MESSAGE = 'what the script made cannot be told, since it closed all cursors (CLOSE ALL)',
            HINT = 'take CLOSE ALL out, and name the cursors that are meant';
    END IF;
    -- A visible row whose transaction is in progress is of this transaction, or of a savepoint of it.
    SELECT array_agg(c.oid) INTO relations
    FROM pg_class AS c
    WHERE CASE WHEN age(c.xmin) <= span THEN c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND pg_xact_status((epoch + c.xmin::text::numeric)::text::xid8) = 'in progress'
            AND (SELECT n.nspname !~ '^pg_' FROM pg_namespace AS n WHERE n.oid = c.relnamespace) END;
    SELECT array_agg(p.oid) INTO routines
    FROM pg_proc AS p
    WHERE p.oid >= 16384 AND CASE WHEN age(p.xmin) <= span THEN
            pg_xact_status((epoch + p.xmin::text::numeric)::text::xid8) = 'in progress'
            AND (SELECT n.nspname !~ '^pg_' FROM pg_namespace AS n WHERE n.oid = p.pronamespace) END;
    IF relations IS NOT NULL OR routines IS NOT NULL THEN
        PERFORM set_config('kimbledb.young', coalesce(relations || routines, relations, routines)::text, true);
        LOOP
            FETCH older INTO was;
            EXIT WHEN NOT FOUND;
            IF was.tableoid = 'pg_class'::regclass THEN
                relations := array_remove(relations, was.oid);
            ELSE
                routines := array_remove(routines, was.oid);
            END IF;
        END LOOP;
        -- The objects of an extension keep their privileges.
        IF EXISTS (SELECT FROM pg_extension WHERE age(xmin) <= span) THEN
            relations := ARRAY(SELECT r FROM unnest(relations) AS r WHERE NOT EXISTS (
                SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = r AND d.deptype = 'e'));
            routines := ARRAY(SELECT r FROM unnest(routines) AS r WHERE NOT EXISTS (
                SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = r AND d.deptype = 'e'));
        END IF;
        -- Where a script runs statement by statement: what its earlier statements made.
        relations := relations || nullif(current_setting('kimbledb.closed_relations'), '')::oid[];
        routines := routines || nullif(current_setting('kimbledb.closed_routines'), '')::oid[];
        PERFORM set_config('kimbledb.closed_relations', coalesce(relations::text, ''), true),
                set_config('kimbledb.closed_routines', coalesce(routines::text, ''), true);
        SELECT array_agg(oid), array_agg(quote_ident(rolname)) INTO closed_to, names
        FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role');
        FOR each IN
            -- Without an access list a relation is for its owner alone, and a routine for PUBLIC.
            SELECT open.what, string_agg(open.name, ', ') AS names, open.owner
            FROM (
                SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass::text, c.relowner
                FROM pg_class AS c
                WHERE c.oid = ANY (relations)
                  AND (c.relacl IS NOT NULL
                       OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL))
                UNION ALL
                SELECT 'ROUTINE', p.oid::regprocedure::text, p.proowner
                FROM pg_proc AS p
                WHERE p.oid = ANY (routines)
            ) AS open (what, name, owner)
            GROUP BY open.what, open.owner
        LOOP
            -- An owner keeps its privileges.
            EXECUTE format('REVOKE ALL ON %s %s FROM %s', each.what, each.names,
                array_to_string('PUBLIC'::text || CASE WHEN each.owner = ANY (closed_to)
                    THEN array_remove(names, names[array_position(closed_to, each.owner)]) ELSE names END, ', '));
        END LOOP;
    END IF;
    CLOSE older;
    PERFORM set_config('search_path', path, true);
END
