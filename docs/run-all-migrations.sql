-- 35 migrations of kimbledb in order, as one transaction. Made by `kimbledb render`: do not edit it.
--
-- Paste it into an SQL editor and run it whole, as the owner of the schema public. Where a
-- migration fails the error begins with its name, and nothing of the file is kept. Run again it
-- passes over what is applied; kimbledb goes on from what it leaves, and it from kimbledb. Where
-- the schema holds a part of a migration that is not applied it changes nothing: migrate() completes.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
DO $kimbledb$
BEGIN
    IF current_setting('standard_conforming_strings') <> 'on' THEN
        RAISE EXCEPTION 'standard_conforming_strings is off: the server reads this file otherwise than it is meant'
            USING HINT = 'SET standard_conforming_strings = on; then run the file again';
    END IF;
    PERFORM set_config(name, value, true)
    FROM (VALUES ('standard_conforming_strings', 'on'), ('backslash_quote', 'safe_encoding'), ('array_nulls', 'on'), ('bytea_output', 'hex'), ('client_min_messages', 'warning'), ('DateStyle', 'ISO, MDY'), ('exit_on_error', 'off'), ('extra_float_digits', '1'), ('gin_fuzzy_search_limit', '0'), ('IntervalStyle', 'postgres'), ('jit', 'off'), ('quote_all_identifiers', 'off'), ('row_security', 'off'), ('session_replication_role', 'origin'), ('transform_null_equals', 'off'), ('xmlbinary', 'base64'), ('xmloption', 'content'), ('lock_timeout', '30s'), ('statement_timeout', '0')) AS pinned (name, value)
    WHERE current_setting(name, true) <> value;
END
$kimbledb$;

-- One at a time, and not while kimbledb is at work.
DO $kimbledb$
BEGIN
    IF NOT pg_try_advisory_xact_lock(1801740849, 0) OR NOT pg_try_advisory_xact_lock(1801740849, -1145819619) THEN
        RAISE EXCEPTION 'kimbledb is at work on this database' USING HINT = 'run it again when that is done';
    END IF;
END
$kimbledb$;

-- Nothing of a stranger's is called.
DO $guard$
DECLARE
    trusted constant oid[] := (
WITH RECURSIVE own (oid) AS (
    SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname IN (current_user, session_user)
    UNION
    SELECT m.roleid
    FROM own
    JOIN pg_catalog.pg_auth_members AS m ON m.member = own.oid
    -- Since version 16 the creator of a role may administer it, which is no membership.
    WHERE coalesce((to_jsonb(m)->>'inherit_option')::boolean OR (to_jsonb(m)->>'set_option')::boolean, true)
)
SELECT array_agg(r.oid)
FROM pg_catalog.pg_roles AS r
WHERE (r.rolsuper OR r.rolname = 'pg_database_owner' OR r.oid IN (SELECT oid FROM own)
       OR r.oid = (SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
       OR r.oid IN (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = ANY (ARRAY[]::text[])))
  AND r.rolname NOT IN ('anon', 'authenticated')
    );
    dangers jsonb;
BEGIN
    IF EXISTS (SELECT FROM pg_roles AS r
               JOIN pg_shdepend AS d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
                   AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
               WHERE r.oid <> ALL (trusted))
       OR EXISTS (SELECT FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS acl
                  WHERE n.nspname = ANY (ARRAY['public', 'extensions']::text[]) AND acl.privilege_type = 'CREATE' AND acl.grantee <> ALL (trusted))
       OR EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                  WHERE n.nspname = ANY (ARRAY['public', 'extensions']::text[]) AND c.relname IN ('migration_history', 'migration_log') AND c.relkind = 'r' AND c.relhasrules)
    THEN
        -- A text, so that the server parses it only here.
        EXECUTE 'WITH role (trusted) AS MATERIALIZED (
WITH RECURSIVE own (oid) AS (
    SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname IN (current_user, session_user)
    UNION
    SELECT m.roleid
    FROM own
    JOIN pg_catalog.pg_auth_members AS m ON m.member = own.oid
    -- Since version 16 the creator of a role may administer it, which is no membership.
    WHERE coalesce((to_jsonb(m)->>''inherit_option'')::boolean OR (to_jsonb(m)->>''set_option'')::boolean, true)
)
SELECT array_agg(r.oid)
FROM pg_catalog.pg_roles AS r
WHERE (r.rolsuper OR r.rolname = ''pg_database_owner'' OR r.oid IN (SELECT oid FROM own)
       OR r.oid = (SELECT d.datdba FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
       OR r.oid IN (SELECT n.nspowner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = ANY (ARRAY[]::text[])))
  AND r.rolname NOT IN (''anon'', ''authenticated'')
),
space AS MATERIALIZED (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname = ANY (ARRAY[''public'', ''extensions'']::text[]) OR n.nspname = ''pg_catalog''
),
-- The objects of a platform belong to several roles, in schemas of its superuser.
platform AS MATERIALIZED (
    SELECT n.oid
    FROM pg_catalog.pg_namespace AS n
    JOIN pg_catalog.pg_roles AS r ON r.oid = n.nspowner AND r.rolsuper
    WHERE EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = ''auth'')
      AND (SELECT count(*) = 3 FROM pg_catalog.pg_roles WHERE rolname IN (''anon'', ''authenticated'', ''service_role''))
),
-- What strangers own: of what is elsewhere that which may hang on ours. What the server made is below 16384.
theirs (classid, objid, owner, namespace) AS MATERIALIZED (
    SELECT classid, oid, owner, namespace
    FROM (
        SELECT ''pg_catalog.pg_proc''::regclass::oid, oid, proowner, pronamespace FROM pg_catalog.pg_proc WHERE oid >= 16384
        UNION ALL SELECT ''pg_catalog.pg_operator''::regclass, oid, oprowner, oprnamespace FROM pg_catalog.pg_operator WHERE oid >= 16384
        UNION ALL SELECT ''pg_catalog.pg_class''::regclass, oid, relowner, relnamespace FROM pg_catalog.pg_class
            WHERE oid >= 16384 AND relkind IN (''r'', ''p'', ''v'', ''m'', ''f'', ''S'') AND (relhastriggers OR relnamespace IN (SELECT oid FROM space))
        -- The types of tables and arrays come with what they are of.
        UNION ALL SELECT ''pg_catalog.pg_type''::regclass, oid, typowner, typnamespace FROM pg_catalog.pg_type
            WHERE oid >= 16384 AND typcategory <> ''A'' AND (typtype = ''d'' OR (typnamespace IN (SELECT oid FROM space) AND (
                typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = typrelid AND c.relkind = ''c''))))
        UNION ALL SELECT ''pg_catalog.pg_opclass''::regclass, oid, opcowner, opcnamespace FROM pg_catalog.pg_opclass WHERE oid >= 16384
        UNION ALL SELECT ''pg_catalog.pg_opfamily''::regclass, oid, opfowner, opfnamespace FROM pg_catalog.pg_opfamily WHERE oid >= 16384
        UNION ALL SELECT ''pg_catalog.pg_collation''::regclass, oid, collowner, collnamespace FROM pg_catalog.pg_collation WHERE oid >= 16384
        UNION ALL SELECT ''pg_catalog.pg_conversion''::regclass, oid, conowner, connamespace FROM pg_catalog.pg_conversion WHERE oid >= 16384
        UNION ALL SELECT ''pg_catalog.pg_ts_config''::regclass, oid, cfgowner, cfgnamespace FROM pg_catalog.pg_ts_config WHERE oid >= 16384
        UNION ALL SELECT ''pg_catalog.pg_ts_dict''::regclass, oid, dictowner, dictnamespace FROM pg_catalog.pg_ts_dict WHERE oid >= 16384
        -- It fires for changes in every schema.
        UNION ALL SELECT ''pg_catalog.pg_event_trigger''::regclass, oid, evtowner, ''pg_catalog''::regnamespace FROM pg_catalog.pg_event_trigger
    ) AS each (classid, oid, owner, namespace)
    WHERE owner <> ALL ((SELECT trusted FROM role)::oid[])
),
extension AS MATERIALIZED (
    SELECT oid, extname, extowner
    FROM pg_catalog.pg_extension
    WHERE extowner <> ALL ((SELECT trusted FROM role)::oid[]) AND extnamespace IN (SELECT oid FROM space)
),
danger (place, object, reason, cure) AS (
    SELECT 1, pg_catalog.format(''the schema %I'', nspname), pg_catalog.format(''belongs to %I'', pg_catalog.pg_get_userbyid(nspowner)),
           pg_catalog.format(''ALTER SCHEMA %I OWNER TO %I'', nspname, current_user)
    FROM space WHERE nspowner <> ALL ((SELECT trusted FROM role)::oid[])
    UNION ALL
    SELECT 2, who.name, pg_catalog.format(''may create in the schema %I, and so plant functions there'', s.nspname),
           pg_catalog.format(''REVOKE CREATE ON SCHEMA %I FROM %s'', s.nspname, who.name)
    FROM space AS s
    CROSS JOIN LATERAL pg_catalog.aclexplode(s.nspacl) AS acl
    CROSS JOIN LATERAL (SELECT CASE WHEN acl.grantee = 0 THEN ''PUBLIC'' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END) AS who (name)
    WHERE acl.privilege_type = ''CREATE'' AND acl.grantee <> ALL ((SELECT trusted FROM role)::oid[]) AND acl.grantee <> s.nspowner
    UNION ALL
    -- There is no ALTER EXTENSION ... OWNER TO.
    SELECT 3, pg_catalog.format(''the extension %I'', extname), pg_catalog.format(''belongs to %I, who may put functions into it'', pg_catalog.pg_get_userbyid(extowner)),
           pg_catalog.format(''look at it, then REASSIGN OWNED BY %I TO %I, or DROP EXTENSION %I'',
                             pg_catalog.pg_get_userbyid(extowner), current_user, extname)
    FROM extension
    UNION ALL
    SELECT 4, pg_catalog.pg_describe_object(t.classid, t.objid, 0), pg_catalog.format(''belongs to %I'', pg_catalog.pg_get_userbyid(t.owner)),
           pg_catalog.format(''look at it, then ALTER %1$s %2$s OWNER TO %3$I, or DROP %1$s %2$s'', pg_catalog.upper(i.type), i.identity, current_user)
    FROM theirs AS t
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.classid, t.objid, 0) AS i
    WHERE t.namespace IN (SELECT oid FROM space)
      -- An object that comes with another one is listed with that.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = t.classid AND d.objid = t.objid
                        AND (d.deptype = ''i'' OR (d.deptype = ''a'' AND i.type = ''sequence'')
                             OR (d.deptype = ''e'' AND d.refobjid IN (SELECT oid FROM extension))))
    UNION ALL
    SELECT 5, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid),
           pg_catalog.format(''calls %s, which belongs to %I'', pg_catalog.pg_describe_object(t.classid, t.objid, 0), pg_catalog.pg_get_userbyid(t.owner)),
           pg_catalog.format(''drop it, or look at what it calls, then ALTER %s %s OWNER TO %I'', pg_catalog.upper(i.type), i.identity, current_user)
    FROM theirs AS t
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.classid, t.objid, 0) AS i
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = t.classid AND d.refobjid = t.objid AND d.deptype IN (''n'', ''a'')
    CROSS JOIN LATERAL (
        SELECT CASE d.classid
            WHEN ''pg_catalog.pg_trigger''::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_trigger AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.tgrelid WHERE x.oid = d.objid)
            WHEN ''pg_catalog.pg_rewrite''::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_rewrite AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.ev_class WHERE x.oid = d.objid)
            WHEN ''pg_catalog.pg_policy''::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_policy AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.polrelid WHERE x.oid = d.objid)
            WHEN ''pg_catalog.pg_attrdef''::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_attrdef AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.adrelid WHERE x.oid = d.objid)
            WHEN ''pg_catalog.pg_constraint''::regclass THEN (SELECT connamespace FROM pg_catalog.pg_constraint WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_class''::regclass THEN (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_proc''::regclass THEN (SELECT pronamespace FROM pg_catalog.pg_proc WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_operator''::regclass THEN (SELECT oprnamespace FROM pg_catalog.pg_operator WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_type''::regclass THEN (SELECT typnamespace FROM pg_catalog.pg_type WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_opclass''::regclass THEN (SELECT opcnamespace FROM pg_catalog.pg_opclass WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_opfamily''::regclass THEN (SELECT opfnamespace FROM pg_catalog.pg_opfamily WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_amproc''::regclass THEN
                (SELECT f.opfnamespace FROM pg_catalog.pg_amproc AS x JOIN pg_catalog.pg_opfamily AS f ON f.oid = x.amprocfamily WHERE x.oid = d.objid)
            WHEN ''pg_catalog.pg_statistic_ext''::regclass THEN (SELECT stxnamespace FROM pg_catalog.pg_statistic_ext WHERE oid = d.objid)
            WHEN ''pg_catalog.pg_event_trigger''::regclass THEN ''pg_catalog''::regnamespace
            -- A cast has no schema: it is looked for wherever both of its types are.
            WHEN ''pg_catalog.pg_cast''::regclass THEN
                (SELECT CASE WHEN b.typnamespace IN (SELECT oid FROM space) THEN a.typnamespace END
                 FROM pg_catalog.pg_cast AS x JOIN pg_catalog.pg_type AS a ON a.oid = x.castsource JOIN pg_catalog.pg_type AS b ON b.oid = x.casttarget
                 WHERE x.oid = d.objid)
        END) AS place (namespace)
    WHERE t.namespace NOT IN (SELECT oid FROM space UNION ALL SELECT oid FROM platform)
      AND t.classid <> ''pg_catalog.pg_class''::regclass
      AND place.namespace IN (SELECT oid FROM space)
    UNION ALL
    -- To delete a row of ours reaches hers, and a deferred trigger there fires as whoever commits.
    SELECT DISTINCT 6, pg_catalog.pg_describe_object(t.classid, t.objid, 0),
           pg_catalog.format(''belongs to %I, refers to %s and has triggers'', pg_catalog.pg_get_userbyid(t.owner), k.confrelid::regclass),
           pg_catalog.format(''drop its foreign key, or look at its triggers, then ALTER TABLE %s OWNER TO %I'', t.objid::regclass, current_user)
    FROM theirs AS t
    JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.objid AND k.contype = ''f''
    JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid AND c.relnamespace IN (SELECT oid FROM space)
    WHERE t.classid = ''pg_catalog.pg_class''::regclass AND t.namespace NOT IN (SELECT oid FROM space UNION ALL SELECT oid FROM platform)
      AND EXISTS (SELECT FROM pg_catalog.pg_trigger AS x WHERE x.tgrelid = t.objid AND NOT x.tgisinternal)
    UNION ALL
    -- Whoever made it: what we write would not be what stands there.
    SELECT 7, pg_catalog.format(''the rule %I on %s'', w.rulename, c.oid::regclass), ''changes what is recorded'',
           pg_catalog.format(''DROP RULE %I ON %s'', w.rulename, c.oid::regclass)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = c.oid
    WHERE c.relnamespace IN (SELECT oid FROM space) AND c.relname IN (''migration_history'', ''migration_log'') AND c.relkind = ''r''
),
-- Nobody would read thousands of them.
numbered AS (
    SELECT *, row_number() OVER (ORDER BY place, object, reason) AS number, count(*) OVER () AS total FROM danger
)
SELECT coalesce(jsonb_agg(jsonb_build_array(object, reason, cure) ORDER BY number), ''[]'')
FROM (
    SELECT number, object, reason, cure FROM numbered WHERE number <= 25
    UNION ALL
    SELECT number, pg_catalog.format(''and %s more'', total - 25), ''are strangers'''' or hang on what is'', ''the same for each of them''
    FROM numbered WHERE number = 26
) AS shown' INTO dangers;
        IF dangers <> '[]' THEN
            RAISE EXCEPTION USING MESSAGE = 'the schema is not safe to work in', DETAIL = dangers::text, ERRCODE = 'KD007';
        END IF;
    END IF;
END
$guard$;

-- What a migration makes on older tables is noted.
DO $kimbledb$
BEGIN
    PERFORM set_config('kimbledb.made_on', $made$
SELECT coalesce(jsonb_agg(kind || ' ' || name), '[]')
FROM (
SELECT 'constraint', c.relname || '.' || k.conname, k.conrelid, k.xmin
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace = 'public'::regnamespace AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND k.conislocal
UNION ALL
SELECT 'index', i.relname, x.indrelid, i.xmin
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE i.relnamespace = 'public'::regnamespace AND NOT i.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
-- Statistics may be in another schema than their table.
SELECT 'statistics', CASE WHEN s.stxnamespace <> 'public'::regnamespace THEN s.stxnamespace::regnamespace || '.' ELSE '' END || s.stxname, s.stxrelid, s.xmin
FROM pg_statistic_ext AS s JOIN pg_class AS c ON c.oid = s.stxrelid
WHERE 'public'::regnamespace IN (s.stxnamespace, c.relnamespace)
) AS part (kind, name, owner, writer)
WHERE owner <= $1 AND age(writer) <= age(pg_current_xact_id()::xid)
$made$, true);
END
$kimbledb$;

-- What default privileges give on what a migration makes is taken back.
DO $kimbledb1$
BEGIN
    PERFORM set_config('kimbledb.keep_older', $older$
DO $kimbledb$
DECLARE
    older pg_catalog.refcursor := 'kimbledb_older';
BEGIN
    PERFORM pg_catalog.set_config('kimbledb.closed_relations', '', true),
            pg_catalog.set_config('kimbledb.closed_routines', '', true);
    OPEN older NO SCROLL FOR
    SELECT c.tableoid, c.oid
    FROM pg_catalog.pg_class AS c
    WHERE c.oid OPERATOR(pg_catalog.=) ANY (nullif(pg_catalog.current_setting('kimbledb.young', true), '')::pg_catalog.oid[])
    UNION ALL
    SELECT p.tableoid, p.oid
    FROM pg_catalog.pg_proc AS p
    WHERE p.oid OPERATOR(pg_catalog.=) ANY (nullif(pg_catalog.current_setting('kimbledb.young', true), '')::pg_catalog.oid[]);
END
$kimbledb$;
$older$, true), set_config('kimbledb.take_back', $back$
DO $kimbledb$
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
$kimbledb$;
$back$, true);
END
$kimbledb1$;

-- What they need of the server, and the tables that say what is applied.
DO $kimbledb$
DECLARE
    differences constant jsonb := (
SELECT coalesce(jsonb_agg(difference ORDER BY difference), '[]')
FROM (
    SELECT format('migration_history is a %s, and a table is needed',
                  CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                                 WHEN 'p' THEN 'partitioned table' WHEN 'S' THEN 'sequence' ELSE 'relation of another kind' END)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = 'migration_history' AND c.relkind <> 'r'
    UNION ALL
    SELECT 'migration_history has no column migration_name'
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = 'migration_history'
      AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'migration_name' AND NOT a.attisdropped)
    UNION ALL
    SELECT format('column migration_history.%s is %s, and %s is needed', a.attname, format_type(a.atttypid, a.atttypmod), wanted.types[1])
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN (VALUES ('migration_name', ARRAY['text', 'character varying', 'name']),
                 ('applied_at', ARRAY['timestamp with time zone', 'timestamp without time zone', 'date']),
                 ('success', ARRAY['boolean']),
                 ('error_message', ARRAY['text', 'character varying']),
                 ('execution_time_ms', ARRAY['integer', 'bigint', 'numeric', 'smallint', 'double precision']),
                 ('checksum', ARRAY['text', 'character varying']),
                 ('applied_by', ARRAY['text', 'character varying', 'name']),
                 ('kimbledb_version', ARRAY['text', 'character varying']),
                 ('adopted', ARRAY['boolean']),
                 ('evidence', ARRAY['jsonb']),
                 ('forms', ARRAY['jsonb'])) AS wanted (name, types) ON wanted.name = a.attname
    WHERE n.nspname = 'public' AND c.relname = 'migration_history' AND c.relkind = 'r'
      AND (format_type(a.atttypid, NULL) <> ALL (wanted.types) OR a.attgenerated <> '')
    UNION ALL
    -- kimbledb could not write a row. An `id` of whole numbers gets a sequence.
    SELECT format('column migration_history.%s is not null and has no default, and nothing is known to write there', a.attname)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = 'public' AND c.relname = 'migration_history' AND c.relkind = 'r'
      AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
      AND a.attname NOT IN ('migration_name', 'applied_at', 'success', 'error_message', 'execution_time_ms', 'checksum',
                            'applied_by', 'kimbledb_version', 'adopted', 'evidence', 'forms')
      AND NOT (a.attname = 'id' AND format_type(a.atttypid, NULL) IN ('smallint', 'integer', 'bigint'))
    UNION ALL
    -- An application may have a table of that name. Ours has these columns and no others.
    SELECT 'migration_log is there, and is not the log of kimbledb'
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = 'migration_log'
      AND (c.relkind <> 'r' OR (
          SELECT array_agg(format('%s %s', a.attname, format_type(a.atttypid, NULL)) ORDER BY a.attname)
          FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      ) IS DISTINCT FROM ARRAY[
          'application_name text', 'checksum text', 'client_address inet', 'detail jsonb', 'error_message text', 'event text',
          'execution_time_ms integer', 'id bigint', 'kimbledb_version text', 'logged_at timestamp with time zone',
          'logged_by text', 'migration_name text'])
) AS found (difference)
    );
BEGIN
    IF differences <> '[]' THEN
        RAISE EXCEPTION USING MESSAGE = 'the history cannot be taken over', DETAIL = differences::text, ERRCODE = 'KD008';
    END IF;
END
$kimbledb$;
CREATE TABLE IF NOT EXISTS "public".migration_history (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    migration_name text NOT NULL UNIQUE,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    success boolean NOT NULL DEFAULT true,
    error_message text,
    execution_time_ms integer,
    checksum text,
    applied_by text NOT NULL DEFAULT session_user,
    kimbledb_version text,
    adopted boolean NOT NULL DEFAULT false,
    evidence jsonb,
    forms jsonb
);
CREATE TABLE IF NOT EXISTS "public".migration_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    logged_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text NOT NULL CHECK (event IN ('apply', 'rollback', 'adopt', 'statement', 'failure', 'reset', 'takeover', 'provision')),
    migration_name text,
    execution_time_ms integer,
    checksum text,
    error_message text,
    logged_by text NOT NULL DEFAULT session_user,
    client_address inet DEFAULT inet_client_addr(),
    application_name text DEFAULT current_setting('application_name'),
    kimbledb_version text,
    detail jsonb
);
DO $kimbledb$
DECLARE
    history constant regclass := format('%I.migration_history', 'public');
    name_column constant smallint := (SELECT attnum FROM pg_attribute WHERE attrelid = history AND attname = 'migration_name');
    altered text[] := '{}';
    doubled jsonb;
    one record;
BEGIN
    IF EXISTS (SELECT FROM "public".migration_log) THEN
        RETURN;  -- another run was quicker
    END IF;
    LOCK TABLE "public".migration_history IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM "public".migration_history WHERE migration_name IS NULL) THEN
        RAISE EXCEPTION USING MESSAGE = 'migration_history cannot be taken over', ERRCODE = 'KD008',
            DETAIL = '["migration_history holds a row without a migration_name"]';
    END IF;
    -- Types first: the rest relies on them. A time without a zone is read in the time zone of the server.
    FOR one IN
        SELECT wanted.name, wanted.type
        FROM (VALUES ('migration_name', 'text'), ('applied_at', 'timestamp with time zone'), ('error_message', 'text'),
                     ('checksum', 'text'), ('applied_by', 'text'), ('kimbledb_version', 'text')) AS wanted (name, type)
        JOIN pg_attribute AS a ON a.attrelid = history AND a.attname = wanted.name AND NOT a.attisdropped
        WHERE format_type(a.atttypid, a.atttypmod) <> wanted.type
        UNION ALL
        SELECT a.attname, 'integer' FROM pg_attribute AS a
        WHERE a.attrelid = history AND a.attname = 'execution_time_ms' AND a.atttypid = 'pg_catalog.int2'::regtype
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', history, one.name, one.type);
        altered := altered || format('%s became %s', one.name, one.type);
    END LOOP;
    FOR one IN
        SELECT wanted.name, wanted.definition
        FROM (VALUES (1, 'id', 'bigint GENERATED BY DEFAULT AS IDENTITY'),
                     -- The time and the role of existing rows are unknown.
                     (2, 'applied_at', 'timestamptz'),
                     -- In a table without this column each row stands for an applied migration.
                     (3, 'success', 'boolean DEFAULT true'),
                     (4, 'error_message', 'text'), (5, 'execution_time_ms', 'integer'), (6, 'checksum', 'text'),
                     (7, 'applied_by', 'text'), (8, 'kimbledb_version', 'text'),
                     (9, 'adopted', 'boolean NOT NULL DEFAULT false'), (10, 'evidence', 'jsonb'),
                     (11, 'forms', 'jsonb')) AS wanted (place, name, definition)
        WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                          WHERE a.attrelid = history AND a.attname = wanted.name AND NOT a.attisdropped)
        ORDER BY wanted.place
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', history, one.name, one.definition);
        altered := altered || format('%s was added', one.name);
    END LOOP;
    IF EXISTS (SELECT FROM pg_attribute AS a
               WHERE a.attrelid = history AND a.attname = 'id' AND NOT a.atthasdef AND a.attidentity = '') THEN
        ALTER TABLE "public".migration_history ALTER COLUMN id SET NOT NULL;
        ALTER TABLE "public".migration_history ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY;
        altered := altered || 'id got a sequence'::text;
    END IF;
    -- Rows whose id somebody gave by hand leave a sequence behind them, be it the column's own or one that its default names.
    FOR one IN
        SELECT d.refobjid::regclass AS counter
        FROM pg_attrdef AS a
        JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class AS c ON c.oid = d.refobjid AND c.relkind = 'S'
        WHERE a.adrelid = history
          AND a.adnum = (SELECT attnum FROM pg_attribute WHERE attrelid = history AND attname = 'id')
        UNION
        SELECT own.counter FROM (SELECT pg_get_serial_sequence(history::text, 'id')::regclass AS counter) AS own WHERE counter IS NOT NULL
    LOOP
        PERFORM setval(one.counter, greatest((SELECT max(id) FROM "public".migration_history), nextval(one.counter) - 1) + 1, false);
    END LOOP;
    ALTER TABLE "public".migration_history
        ALTER COLUMN applied_at SET DEFAULT clock_timestamp(),
        ALTER COLUMN applied_by SET DEFAULT session_user;
    -- As history is read: a success takes precedence over a failure, and a newer row over an older one.
    WITH ranked AS (
        SELECT ctid AS place, row_number() OVER (
                   PARTITION BY migration_name
                   ORDER BY success IS TRUE DESC, applied_at DESC NULLS LAST, ctid DESC) AS rank
        FROM "public".migration_history
    ),
    gone AS (
        DELETE FROM "public".migration_history AS h USING ranked
        WHERE h.ctid = ranked.place AND ranked.rank > 1
        RETURNING to_jsonb(h) AS entry
    )
    SELECT coalesce(jsonb_agg(entry), '[]') INTO doubled FROM gone;
    -- ON CONFLICT accepts no deferrable key.
    FOR one IN SELECT conname FROM pg_constraint
               WHERE conrelid = history AND contype IN ('p', 'u') AND condeferrable AND conkey = ARRAY[name_column]
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', history, one.conname);
        altered := altered || format('%s, a deferrable key, was replaced', one.conname);
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_index AS i
                   WHERE i.indrelid = history AND i.indisunique AND i.indisvalid AND i.indimmediate
                     AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = name_column) THEN
        ALTER TABLE "public".migration_history ADD UNIQUE (migration_name);
        altered := altered || 'migration_name became unique'::text;
    END IF;
    IF altered <> '{}' OR doubled <> '[]' THEN
        INSERT INTO "public".migration_log (event, kimbledb_version, detail)
        VALUES ('takeover', '1.0.0rc1', jsonb_build_object('altered', altered, 'doubled', doubled));
    END IF;
EXCEPTION
    WHEN dependent_objects_still_exist OR feature_not_supported OR invalid_table_definition OR object_not_in_prerequisite_state THEN
        RAISE EXCEPTION USING MESSAGE = 'migration_history cannot be taken over', ERRCODE = 'KD008',
            DETAIL = jsonb_build_array(SQLERRM)::text;
END
$kimbledb$;
CREATE OR REPLACE FUNCTION "public".migration_log_is_append_only() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $append_only$
BEGIN
    RAISE EXCEPTION 'migration_log is append-only: % is refused', TG_OP;
END
$append_only$;
CREATE OR REPLACE TRIGGER migration_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "public".migration_log
    FOR EACH STATEMENT EXECUTE FUNCTION "public".migration_log_is_append_only();
-- Nobody but the owner reads or writes them without a grant, and who comes by an API not
-- even with one. Whoever is granted to read history sees all of it: rows that are hidden
-- would read as migrations that are to be applied.
ALTER TABLE "public".migration_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE "public".migration_log ENABLE ROW LEVEL SECURITY;
DO $closed$
DECLARE
    api_role text;
    counter text;
    -- A history that was made by another hand may count otherwise, or not at all.
    counters constant text[] := array_remove(ARRAY[pg_get_serial_sequence(format('%I.migration_history', 'public'), 'id'),
                                                   pg_get_serial_sequence(format('%I.migration_log', 'public'), 'id')], NULL)
        || ARRAY(SELECT d.refobjid::regclass::text FROM pg_attrdef AS a
                 JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
                 JOIN pg_class AS c ON c.oid = d.refobjid AND c.relkind = 'S'
                 WHERE a.adrelid = format('%I.migration_history', 'public')::regclass);
BEGIN
    IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = format('%I.migration_history', 'public')::regclass
                   AND polname = 'migration_history_is_read_as_granted') THEN
        CREATE POLICY migration_history_is_read_as_granted ON "public".migration_history FOR SELECT
            USING (current_user NOT IN ('anon', 'authenticated'));
    END IF;
    REVOKE ALL ON FUNCTION "public".migration_log_is_append_only() FROM PUBLIC;
    REVOKE ALL ON TABLE "public".migration_history, "public".migration_log FROM PUBLIC;
    FOR api_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role') LOOP
        EXECUTE format('REVOKE ALL ON TABLE %1$I.migration_history, %1$I.migration_log FROM %2$I', 'public', api_role);
        FOREACH counter IN ARRAY counters LOOP
            EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM %I', counter, api_role);
        END LOOP;
        EXECUTE format('REVOKE ALL ON FUNCTION %I.migration_log_is_append_only() FROM %I', 'public', api_role);
    END LOOP;
END
$closed$;
COMMENT ON TABLE "public".migration_history IS 'Which migrations are applied: one row each, written in the transaction that applies it.';
COMMENT ON COLUMN "public".migration_history.success IS 'True: applied. False: the last attempt failed and left nothing behind.';
COMMENT ON COLUMN "public".migration_history.checksum IS 'SHA-256 of the script as it was sent.';
COMMENT ON COLUMN "public".migration_history.adopted IS 'Recorded because its objects were found, not because it was run.';
COMMENT ON COLUMN "public".migration_history.forms IS 'Hashes of the expressions of its objects as this server printed them: with them drift is told from another spelling.';
COMMENT ON TABLE "public".migration_log IS 'Everything that happened to the migrations of this schema, append-only.';DO $kimbledb$
DECLARE
    extension text;
    migrations constant jsonb := '[{"name": "COMPLETE_MIGRATION.sql", "checksums": ["59c6fe1a606b637d4d7a0875c40bb0275467a1e4d120988418be1d08d272ce54"]}, {"name": "create_user_tokens_table.sql", "checksums": ["78de005174363205b734be8bca2d8607261b29b9b066c5f3c1b1f13f22c2e8f1"]}, {"name": "supabase-migration-user_tokens.sql", "checksums": ["6bd15a10c1947dc344f42edfe359193ef8050ce0a2652e8a4393290a2fe9f821"]}, {"name": "content-organization-system.sql", "checksums": ["d45592f2312ffb30c79940cee3f769dd36ddcdf97738cbccc21bba64d5252d45"]}, {"name": "add-project-to-transcriptions.sql", "checksums": ["e338d7feb987c494fe5f0683d96fa18522680ca7d5b40ae6913ef1b071ace343"]}, {"name": "add-project-id-to-conversations.sql", "checksums": ["05ae9902efde86e62ef415834567a15a9bd8128bda1114bdfd7aa5de93a8adfb"]}, {"name": "add-conversation-pinning.sql", "checksums": ["acde7cd591686d8e6f2d85761e00fbf0efdc056016c7f8761bf22ddf1feb4c37"]}, {"name": "FIX_PROJECT_ID_TYPE.sql", "checksums": ["0256b4ddbe2ef689829abd9ed5b9aa1746603aa8a17ea29de6cd906086bb686d"]}, {"name": "COMPREHENSIVE_TYPE_FIX.sql", "checksums": ["71d3e3f27d0ab05a479623d7d2a601e545c0a5c45a6fa8d4551d3fb39a7b85bc"]}, {"name": "optimize-projects-FINAL.sql", "checksums": ["a017a8f5ce9a4d8b94d241a4d2d2c97e8df06f1684395cf1fe8f9c809bc4e7ac"]}, {"name": "add-embedding-columns.sql", "checksums": ["5adf596ebc1808e1b3713fa968b779886b76cdd7784ae0f9076e08e90d6adfa6"]}, {"name": "supabase-semantic-search-schema.sql", "checksums": ["25346295068b86b8a0529e79f95b2af885b3969a6fb986502ad143884cb9f686"]}, {"name": "create-semantic-search-function.sql", "checksums": ["45c2927103eb48db28a5d86a760b2387dbfe37fe6b26c95fd4738882cf0eb1f8"]}, {"name": "add-knowledge-base-source-id-constraint.sql", "checksums": ["68007c37c0df9aa4ecc5359320ea4613d4e201ef120274492295bf809a182d5a"]}, {"name": "file-registry-migration.sql", "checksums": ["5b3fd9c617b1a8610a6df1fffd78bbcaae1bf120f4f3fee861790efb968b648c"]}, {"name": "file-integration-enhancement.sql", "checksums": ["0122fbd4966c9d917e41e1e6e0a0565b15f4cc506e12d44216f6a56745d1cda3"]}, {"name": "notifications-table-migration.sql", "checksums": ["19c9e7853bcc00b35505144fec5c4081622a776680eb441b76fecb6b37478e39"]}, {"name": "backups-table-migration.sql", "checksums": ["d04d6fd50e91d64650954032a39f43fdb16a6807370551037db6b5da21d2fbba"]}, {"name": "api-cost-tracking.sql", "checksums": ["67344110725b7cc6b4f1aab396737ed629b8167b9ae4017b25f87dc9c5aad48e"]}, {"name": "fix-cost-tracking-user-id-CORRECTED.sql", "checksums": ["35cddabb69eaa51c00276f6451e4dba916823f70b8d45545340d653a8665ca05"]}, {"name": "model-performance-tracking.sql", "checksums": ["90abb118d4bc35f88d5b98886437f4bfc5f520e9b2c073a526fef22e46733d2f"]}, {"name": "model-cost-comparison-enhancement.sql", "checksums": ["aeefbcf8f789003a13120f4ed96a31e7904c774d31b30cffb57511265856a4ef"]}, {"name": "add-transcription-job-tracking.sql", "checksums": ["2839826a1396d0249bdcf8a3e700e643d423ab16724686ec35e6be8d8d56597c"]}, {"name": "MIGRATION_FIX_TRANSCRIPTION.sql", "checksums": ["708d39b038fdc8080abab2c6c424a2915cef2da766cf00187acaf35598a79453"]}, {"name": "zapier-webhook-logs.sql", "checksums": ["df389d0fe598dd0388fc7c61d3dae40a49ad3fa233550acc53490a08116e6a88"]}, {"name": "drive-edit-approval-schema.sql", "checksums": ["c9cf95358fa8c127f26fdf63a6e7cbe189bab4d49af30fad2ee42110127af87b"]}, {"name": "indexing-state-schema.sql", "checksums": ["cd030c09da2b981ab822488972714bab215b81cdf9a6c1176965da1cc9c6b59c"]}, {"name": "device-continuity.sql", "checksums": ["1b8cee905edcb549ce125745767f8fbbf4d1362cf8613f361555b6aa62e26b62"]}, {"name": "autonomous-agent-schema.sql", "checksums": ["dae058dbf7f159ca692bcfadec5c89ed088d9d14e2fb5eafff47b9e629464d54"]}, {"name": "workflow_automation_schema.sql", "checksums": ["bb8084632e49a30d647e173eade42cf092a1eedcdb1530e37df88348a18f16e7"]}, {"name": "chatgpt-import-schema.sql", "checksums": ["92be8c7bfa3e39dbe69898fe85e247ea9d9ebb67acfaeaecf1d738b7d1ed0dfd"]}, {"name": "api-logs-table.sql", "checksums": ["7f26922486c57efe5d6d6e2b3a5ec338979daebfd09f8ba9fae08bd0c35f1dfe"]}, {"name": "api-logs-schema.sql", "checksums": ["51f2ae9baf7552e073b450d474058c4bcf3e5f1b22b1f5f337ccb529113e5a80"]}, {"name": "mcp-servers-schema.sql", "checksums": ["bb50b4880ecec0c22ded9d8588cad479a92922e0c890364187297f293c55c9e6"]}, {"name": "COMBINED-CRITICAL-MIGRATIONS.sql", "checksums": ["f87759dca7c4eb345466cea258358f4b784626bbcd7705d8c2c5336bed4baa84"]}]'::jsonb;
    renamed record;
    home constant text := CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'extensions') THEN 'extensions' ELSE 'public' END;
BEGIN
    IF current_setting('server_version_num')::integer < 150000 THEN
        RAISE EXCEPTION 'the server is PostgreSQL %, and 15 is the oldest that will do', current_setting('server_version');
    END IF;
    SELECT h.migration_name AS older, k.name AS newer INTO renamed
    FROM public.migration_history AS h
    JOIN jsonb_to_recordset(migrations) AS k (name text, checksums text[]) ON h.checksum = ANY (k.checksums)
    WHERE h.success
      AND NOT EXISTS (SELECT FROM jsonb_to_recordset(migrations) AS other (name text) WHERE other.name = h.migration_name)
      AND NOT EXISTS (SELECT FROM public.migration_history AS own WHERE own.migration_name = k.name AND own.success)
    ORDER BY h.migration_name
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is % in history: was it renamed? Nothing of this file was run', renamed.newer, renamed.older
            USING HINT = format('UPDATE public.migration_history SET migration_name = %L WHERE migration_name = %L', renamed.newer, renamed.older);
    END IF;
    FOREACH extension IN ARRAY ARRAY['vector', 'pg_trgm', 'uuid-ossp']::text[] LOOP
        EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', extension, home);
    END LOOP;
END
$kimbledb$;
DO $kimbledb$
BEGIN
    PERFORM set_config('search_path', concat_ws(', ', 'public', (
        SELECT string_agg(DISTINCT quote_ident(n.nspname), ', ')
        FROM pg_extension AS e
        JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = ANY (ARRAY['vector', 'pg_trgm', 'uuid-ossp']::text[]) AND n.nspname <> 'public'), 'pg_temp'), true);
END
$kimbledb$;

-- What is there in part is not for this file.
DO $kimbledb$
DECLARE
    platform constant text := CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) THEN 'hosted' ELSE 'bare' END;
    own_role constant oid := to_regrole(quote_ident(current_user));
    relations constant oid[] := ARRAY(SELECT to_regclass(each)::oid FROM unnest('{public.users,public.projects,public.conversations,public.messages,public.knowledge_base,public.files,public.audio_transcriptions,public.processed_images,public.processed_documents,public.activity_logs,public.auth_logs,public.user_tokens,public.categories,public.idx_projects_owner_id_status_updated_at,public.idx_projects_owner_id_priority_updated_at,public.idx_projects_active_owner_id_updated_at,public.idx_projects_unarchived_user_id_updated_at,public.idx_conversations_user_id_project_id_updated_at,public.idx_audio_transcriptions_user_id_project_id_created_at,public.idx_files_user_id_project_id_created_at,public.idx_knowledge_base_user_id_project_id_created_at,public.semantic_search_metadata,public.embedding_sources,public.semantic_search_log,public.semantic_search_performance,public.embedding_coverage,public.file_registry,public.file_relationships,public.file_sources,public.duplicate_files,public.notifications,public.backups,public.restore_points,public.api_cost_tracking,public.budget_config,public.budget_alerts,public.budget_spending,public.budget_changes,public.cost_models,public.daily_costs,public.monthly_costs,public.model_performance_metrics,public.model_performance_summary,public.model_error_rates,public.model_task_costs,public.idx_audio_transcriptions_open_jobs,public.zapier_webhook_logs,public.zapier_webhook_rates,public.drive_edit_requests,public.drive_edit_audit_log,public.indexing_state,public.devices,public.device_context,public.device_sync_queue,public.device_context_conflicts,public.agent_tasks,public.agent_findings,public.agent_execution_log,public.workflows,public.workflow_executions,public.workflow_triggers,public.workflow_actions,public.chatgpt_imports,public.chatgpt_conversations,public.chatgpt_messages,public.api_logs,public.api_rate_limits,public.api_endpoint_performance,public.api_error_summary,public.api_rate_limit_usage,public.mcp_servers,public.mcp_tools,public.mcp_prompts,public.mcp_resources,public.mcp_health_checks,public.mcp_server_health,public.user_connections}'::text[]) WITH ORDINALITY AS one (each, place) ORDER BY place);
    homes constant oid[] := ARRAY(SELECT to_regnamespace(each)::oid FROM unnest('{public}'::text[]) WITH ORDINALITY AS one (each, place) ORDER BY place);
    names constant text[] := '{users,projects,conversations,messages,knowledge_base,files,audio_transcriptions,processed_images,processed_documents,activity_logs,auth_logs,user_tokens,categories,idx_projects_owner_id_status_updated_at,idx_projects_owner_id_priority_updated_at,idx_projects_active_owner_id_updated_at,idx_projects_unarchived_user_id_updated_at,idx_conversations_user_id_project_id_updated_at,idx_audio_transcriptions_user_id_project_id_created_at,idx_files_user_id_project_id_created_at,idx_knowledge_base_user_id_project_id_created_at,semantic_search_metadata,embedding_sources,semantic_search_log,semantic_search_performance,embedding_coverage,file_registry,file_relationships,file_sources,duplicate_files,notifications,backups,restore_points,api_cost_tracking,budget_config,budget_alerts,budget_spending,budget_changes,cost_models,daily_costs,monthly_costs,model_performance_metrics,model_performance_summary,model_error_rates,model_task_costs,idx_audio_transcriptions_open_jobs,zapier_webhook_logs,zapier_webhook_rates,drive_edit_requests,drive_edit_audit_log,indexing_state,devices,device_context,device_sync_queue,device_context_conflicts,agent_tasks,agent_findings,agent_execution_log,workflows,workflow_executions,workflow_triggers,workflow_actions,chatgpt_imports,chatgpt_conversations,chatgpt_messages,api_logs,api_rate_limits,api_endpoint_performance,api_error_summary,api_rate_limit_usage,mcp_servers,mcp_tools,mcp_prompts,mcp_resources,mcp_health_checks,mcp_server_health,user_connections}'::text[];
    spaces constant text[] := '{""}'::text[];
    wanted constant text[] := '{}'::text[];
    gone constant text[] := '{"function requesting_user_id()","function set_updated_at()","function has_column(regclass,text)","function general_project_is_none()","function track_shared_project()","function projects_sync_owner_id()","function is_own_project(text)","function shared_projects()","function is_project_of(text,text)","function is_in_own_project(anyelement)","function cron_field(text,integer,integer,text[])","function read_schedule(text)","function first_reading(timestamp without time zone,text)","function next_scheduled(text,timestamp with time zone,text,timestamp with time zone)","function check_schedule(text,text)",table users,table projects,table conversations,table messages,table knowledge_base,table files,table audio_transcriptions,table processed_images,table processed_documents,table activity_logs,table auth_logs,table user_tokens,table categories,column projects.category_id,column conversations.category_id,column knowledge_base.category_id,column files.category_id,"function categories_are_a_tree()","function is_own_category(text)",policy projects.projects_own_category,policy conversations.conversations_own_category,policy knowledge_base.knowledge_base_own_category,policy files.files_own_category,column audio_transcriptions.project_id,column audio_transcriptions.shared_project_id,column audio_transcriptions.project_tag,column audio_transcriptions.category_id,column audio_transcriptions.auto_categorized,column audio_transcriptions.category_confidence,constraint audio_transcriptions.audio_transcriptions_category_confidence_check,"function audio_transcriptions_tag_or_project()",trigger audio_transcriptions.audio_transcriptions_tag_or_project,trigger audio_transcriptions.audio_transcriptions_track_shared_project,policy audio_transcriptions.audio_transcriptions_own_project,policy audio_transcriptions.audio_transcriptions_collaborator_read,column conversations.project_id,column conversations.shared_project_id,policy conversations.conversations_own_project,trigger conversations.conversations_general_project,trigger conversations.conversations_track_shared_project,policy conversations.conversations_collaborator_read,policy messages.messages_of_shared_conversations_read,column conversations.is_pinned,column conversations.pinned,column conversations.pinned_at,column conversations.pinned_by,"function conversations_sync_is_pinned()",trigger conversations.conversations_sync_is_pinned,"function conversations_track_pinning()",trigger conversations.conversations_track_pinning,index idx_projects_owner_id_status_updated_at,index idx_projects_owner_id_priority_updated_at,index idx_projects_active_owner_id_updated_at,index idx_projects_unarchived_user_id_updated_at,index idx_conversations_user_id_project_id_updated_at,index idx_audio_transcriptions_user_id_project_id_created_at,index idx_files_user_id_project_id_created_at,index idx_knowledge_base_user_id_project_id_created_at,statistics projects_owner_id_user_id_statistics,statistics conversations_user_id_project_id_statistics,statistics audio_transcriptions_user_id_project_id_statistics,statistics files_user_id_project_id_statistics,statistics knowledge_base_user_id_project_id_statistics,column conversations.embedding,column projects.embedding,column files.embedding,column audio_transcriptions.embedding,table semantic_search_metadata,view embedding_sources,"function note_embedding(text,text,text,text,text,vector,vector)","function track_embedding()",trigger messages.messages_track_embedding,trigger messages.messages_track_embedding_truncate,trigger knowledge_base.knowledge_base_track_embedding,trigger knowledge_base.knowledge_base_track_embedding_truncate,trigger conversations.conversations_track_embedding,trigger conversations.conversations_track_embedding_truncate,trigger projects.projects_track_embedding,trigger projects.projects_track_embedding_truncate,trigger files.files_track_embedding,trigger files.files_track_embedding_truncate,trigger audio_transcriptions.audio_transcriptions_track_embedding,trigger audio_transcriptions.audio_transcriptions_track_embedding_truncate,table semantic_search_log,view semantic_search_performance,view embedding_coverage,"function log_semantic_search(text,text,text,double precision,integer,integer,double precision,timestamp with time zone,jsonb)","function slow_semantic_searches(double precision,interval,integer)","function vector_index_health()","function recommend_ef_search(double precision,integer,integer)","function project_of_content(text)","function nearest_content(text,vector,double precision,integer,text,text)","function search_knowledge_base(vector,double precision,integer,text,text,text,double precision,text)","function search_all_content(vector,text,double precision,integer,text,text[])",constraint knowledge_base.knowledge_base_source_id_check,constraint knowledge_base.knowledge_base_source_id_key,constraint knowledge_base.knowledge_base_source_type_check,table file_registry,"function file_registry_track_processing()","function file_registry_next_version()","function file_registry_follow_version()",column knowledge_base.file_id,table file_relationships,table file_sources,view duplicate_files,"function link_duplicate_files()","function file_registry_track_source()",trigger file_registry.file_registry_track_source,"function file_registry_track_version()",trigger file_registry.file_registry_track_version,policy knowledge_base.knowledge_base_own_file,table notifications,"function notifications_track_reading()",table backups,view restore_points,"function backups_protect_restore_points()","function make_restore_point(text,text,timestamp with time zone)","function release_restore_point(text)","function purge_expired_backups()",table api_cost_tracking,table budget_config,table budget_alerts,table budget_spending,table budget_changes,table cost_models,view daily_costs,view monthly_costs,"function count_budget_month(text,timestamp with time zone)","function raise_budget_alerts(budget_spending[])","function api_cost_tracking_alert()","function settle_budget_changes()","function budget_changes_settle()","function api_cost_tracking_forget()","function budget_config_alert()",table model_performance_metrics,"function model_performance_metrics_sync_model_name()","function model_performance_metrics_sync_total_tokens()",view model_performance_summary,view model_error_rates,column model_performance_metrics.cost_usd,constraint model_performance_metrics.model_performance_metrics_cost_usd_check,"function model_performance_metrics_price()",trigger model_performance_metrics.model_performance_metrics_price,"function model_costs_since(timestamp with time zone,text)",view model_task_costs,"function recommend_model(text,text,numeric,integer)","function suggest_budget_savings(integer,integer,text)",column audio_transcriptions.status,column audio_transcriptions.progress,column audio_transcriptions.job_id,column audio_transcriptions.assemblyai_id,column audio_transcriptions.service,column audio_transcriptions.error_message,column audio_transcriptions.error,column audio_transcriptions.job_metadata,column audio_transcriptions.job_submitted_at,column audio_transcriptions.job_completed_at,constraint audio_transcriptions.audio_transcriptions_job_completed_at_check,constraint audio_transcriptions.audio_transcriptions_progress_check,index idx_audio_transcriptions_open_jobs,"function audio_transcriptions_sync_error_message()",trigger audio_transcriptions.audio_transcriptions_sync_error_message,table zapier_webhook_logs,view zapier_webhook_rates,"function zapier_webhook_allowance(text,integer,interval)",table drive_edit_requests,table drive_edit_audit_log,"function drive_edit_transition_allowed(text,text)","function drive_edit_requests_guard()","function drive_edit_requests_record()","function drive_edit_audit_log_append_only()","function drive_edit_requests_truncate()","function expire_drive_edit_requests()",table indexing_state,"function indexing_state_track_sync()",table devices,table device_context,table device_sync_queue,table device_context_conflicts,"function device_context_stamp()","function merge_device_context(text,jsonb,jsonb,bigint,boolean)","function save_device_context(text,jsonb,bigint,timestamp with time zone,text)","function sync_device_context(text,text)","function claim_device_sync(text,integer)","function device_context_forget()",table agent_tasks,table agent_findings,table agent_execution_log,"function agent_tasks_plan()","function agent_tasks_schedule_next()","function fail_silent_agent_tasks()","function claim_agent_task(text[],interval)","function agent_task_at_work(uuid,integer)","function renew_agent_task(uuid,integer,interval)","function finish_agent_task(uuid,text,text,text,text[],integer)","function agent_tasks_record_execution()",table workflows,table workflow_executions,table workflow_triggers,table workflow_actions,"function workflows_sync_active()","function workflow_executions_fill_owner()","function workflow_trigger_next_run(text,timestamp with time zone,text,timestamp with time zone,timestamp with time zone)","function workflow_triggers_plan()","function workflows_plan_triggers()","function claim_workflow_triggers(integer)",table chatgpt_imports,table chatgpt_conversations,table chatgpt_messages,"function chatgpt_track_embedding()","function search_chatgpt(text,integer)",table api_logs,column api_logs.session_id,column api_logs.request_id,column api_logs.environment,column api_logs.query_params,column api_logs.headers,column api_logs.request_body,column api_logs.response_body,column api_logs.metadata,column api_logs.request_size_bytes,column api_logs.response_size_bytes,column api_logs.database_time_ms,column api_logs.upstream_time_ms,column api_logs.cache_hit,column api_logs.error_category,column api_logs.error_code,column api_logs.stack_trace,column api_logs.rate_limited,column api_logs.rate_limit,column api_logs.rate_limit_remaining,column api_logs.rate_limit_reset_at,constraint api_logs.api_logs_database_time_ms_check,constraint api_logs.api_logs_error_category_check,constraint api_logs.api_logs_rate_limit_check,constraint api_logs.api_logs_rate_limit_remaining_check,constraint api_logs.api_logs_request_size_bytes_check,constraint api_logs.api_logs_response_size_bytes_check,constraint api_logs.api_logs_upstream_time_ms_check,table api_rate_limits,"function api_error_category(integer,text)","function api_logs_categorize_error()",trigger api_logs.api_logs_categorize_error,"function count_api_request(text,text,integer,integer)","function purge_api_rate_limits(interval)",view api_endpoint_performance,view api_error_summary,view api_rate_limit_usage,table mcp_servers,table mcp_tools,table mcp_prompts,table mcp_resources,table mcp_health_checks,"function mcp_servers_sync_active()","function mcp_health_checks_update_server()",view mcp_server_health,view user_connections}'::text[];
    printed constant text[] := '{}'::text[];
    sought_function constant text[] := '{requesting_user_id,set_updated_at,has_column,general_project_is_none,track_shared_project,projects_sync_owner_id,is_own_project,shared_projects,is_project_of,is_in_own_project,cron_field,read_schedule,first_reading,next_scheduled,check_schedule,categories_are_a_tree,is_own_category,audio_transcriptions_tag_or_project,conversations_sync_is_pinned,conversations_track_pinning,note_embedding,track_embedding,log_semantic_search,slow_semantic_searches,vector_index_health,recommend_ef_search,project_of_content,nearest_content,search_knowledge_base,search_all_content,file_registry_track_processing,file_registry_next_version,file_registry_follow_version,link_duplicate_files,file_registry_track_source,file_registry_track_version,notifications_track_reading,backups_protect_restore_points,make_restore_point,release_restore_point,purge_expired_backups,count_budget_month,raise_budget_alerts,api_cost_tracking_alert,settle_budget_changes,budget_changes_settle,api_cost_tracking_forget,budget_config_alert,model_performance_metrics_sync_model_name,model_performance_metrics_sync_total_tokens,model_performance_metrics_price,model_costs_since,recommend_model,suggest_budget_savings,audio_transcriptions_sync_error_message,zapier_webhook_allowance,drive_edit_transition_allowed,drive_edit_requests_guard,drive_edit_requests_record,drive_edit_audit_log_append_only,drive_edit_requests_truncate,expire_drive_edit_requests,indexing_state_track_sync,device_context_stamp,merge_device_context,save_device_context,sync_device_context,claim_device_sync,device_context_forget,agent_tasks_plan,agent_tasks_schedule_next,fail_silent_agent_tasks,claim_agent_task,agent_task_at_work,renew_agent_task,finish_agent_task,agent_tasks_record_execution,workflows_sync_active,workflow_executions_fill_owner,workflow_trigger_next_run,workflow_triggers_plan,workflows_plan_triggers,claim_workflow_triggers,chatgpt_track_embedding,search_chatgpt,api_error_category,api_logs_categorize_error,count_api_request,purge_api_rate_limits,mcp_servers_sync_active,mcp_health_checks_update_server}'::text[];
    sought_relations constant text[] := '{""}'::text[];
    sought_column constant text[] := '{category_id,project_id,shared_project_id,project_tag,auto_categorized,category_confidence,is_pinned,pinned,pinned_at,pinned_by,embedding,file_id,cost_usd,status,progress,job_id,assemblyai_id,service,error_message,error,job_metadata,job_submitted_at,job_completed_at,session_id,request_id,environment,query_params,headers,request_body,response_body,metadata,request_size_bytes,response_size_bytes,database_time_ms,upstream_time_ms,cache_hit,error_category,error_code,stack_trace,rate_limited,rate_limit,rate_limit_remaining,rate_limit_reset_at}'::text[];
    sought_policy constant text[] := '{projects_own_category,conversations_own_category,knowledge_base_own_category,files_own_category,audio_transcriptions_own_project,audio_transcriptions_collaborator_read,conversations_own_project,conversations_collaborator_read,messages_of_shared_conversations_read,knowledge_base_own_file}'::text[];
    sought_constraint constant text[] := '{audio_transcriptions_category_confidence_check,knowledge_base_source_id_check,knowledge_base_source_id_key,knowledge_base_source_type_check,model_performance_metrics_cost_usd_check,audio_transcriptions_job_completed_at_check,audio_transcriptions_progress_check,api_logs_database_time_ms_check,api_logs_error_category_check,api_logs_rate_limit_check,api_logs_rate_limit_remaining_check,api_logs_request_size_bytes_check,api_logs_response_size_bytes_check,api_logs_upstream_time_ms_check}'::text[];
    sought_trigger constant text[] := '{audio_transcriptions_tag_or_project,audio_transcriptions_track_shared_project,conversations_general_project,conversations_track_shared_project,conversations_sync_is_pinned,conversations_track_pinning,messages_track_embedding,messages_track_embedding_truncate,knowledge_base_track_embedding,knowledge_base_track_embedding_truncate,conversations_track_embedding,conversations_track_embedding_truncate,projects_track_embedding,projects_track_embedding_truncate,files_track_embedding,files_track_embedding_truncate,audio_transcriptions_track_embedding,audio_transcriptions_track_embedding_truncate,file_registry_track_source,file_registry_track_version,model_performance_metrics_price,audio_transcriptions_sync_error_message,api_logs_categorize_error}'::text[];
    sought_index constant text[] := '{""}'::text[];
    sought_statistics constant text[] := '{projects_owner_id_user_id_statistics,conversations_user_id_project_id_statistics,audio_transcriptions_user_id_project_id_statistics,files_user_id_project_id_statistics,knowledge_base_user_id_project_id_statistics}'::text[];
    found_part record;
BEGIN
    WITH step AS (
        SELECT one.place, one.each->>'name' AS name, one.each->('makes on ' || platform) AS makes,
               one.each->'on' ? platform AND NOT EXISTS (
                   SELECT FROM public.migration_history AS h
                   WHERE h.success AND h.kimbledb_version IS NOT NULL AND one.each->'instead' ? h.migration_name) AS taken,
               EXISTS (SELECT FROM public.migration_history AS h
                       WHERE h.success AND (h.kimbledb_version IS NOT NULL OR h.adopted) AND h.migration_name = one.each->>'name') AS applied
        FROM jsonb_array_elements('[{"name": "COMPLETE_MIGRATION.sql", "checksums": ["59c6fe1a606b637d4d7a0875c40bb0275467a1e4d120988418be1d08d272ce54"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["function requesting_user_id()", "function set_updated_at()", "function has_column(regclass,text)", "function general_project_is_none()", "function track_shared_project()", "function projects_sync_owner_id()", "function is_own_project(text)", "function shared_projects()", "function is_project_of(text,text)", "function is_in_own_project(anyelement)", "function cron_field(text,integer,integer,text[])", "function read_schedule(text)", "function first_reading(timestamp without time zone,text)", "function next_scheduled(text,timestamp with time zone,text,timestamp with time zone)", "function check_schedule(text,text)", "table users", "table projects", "table conversations", "table messages", "table knowledge_base", "table files", "table audio_transcriptions", "table processed_images", "table processed_documents", "table activity_logs", "table auth_logs"], "makes on hosted": ["function requesting_user_id()", "function set_updated_at()", "function has_column(regclass,text)", "function general_project_is_none()", "function track_shared_project()", "function projects_sync_owner_id()", "function is_own_project(text)", "function shared_projects()", "function is_project_of(text,text)", "function is_in_own_project(anyelement)", "function cron_field(text,integer,integer,text[])", "function read_schedule(text)", "function first_reading(timestamp without time zone,text)", "function next_scheduled(text,timestamp with time zone,text,timestamp with time zone)", "function check_schedule(text,text)", "table users", "table projects", "table conversations", "table messages", "table knowledge_base", "table files", "table audio_transcriptions", "table processed_images", "table processed_documents", "table activity_logs", "table auth_logs"]}, {"name": "create_user_tokens_table.sql", "checksums": ["78de005174363205b734be8bca2d8607261b29b9b066c5f3c1b1f13f22c2e8f1"], "instead": ["supabase-migration-user_tokens.sql"], "on": ["bare"], "makes on bare": ["table user_tokens"], "makes on hosted": ["table user_tokens"]}, {"name": "supabase-migration-user_tokens.sql", "checksums": ["6bd15a10c1947dc344f42edfe359193ef8050ce0a2652e8a4393290a2fe9f821"], "instead": ["create_user_tokens_table.sql"], "on": ["hosted"], "makes on bare": ["table user_tokens"], "makes on hosted": ["table user_tokens", "view user_connections"]}, {"name": "content-organization-system.sql", "checksums": ["d45592f2312ffb30c79940cee3f769dd36ddcdf97738cbccc21bba64d5252d45"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table categories", "column projects.category_id", "column conversations.category_id", "column knowledge_base.category_id", "column files.category_id", "function categories_are_a_tree()", "function is_own_category(text)", "policy projects.projects_own_category", "policy conversations.conversations_own_category", "policy knowledge_base.knowledge_base_own_category", "policy files.files_own_category"], "makes on hosted": ["table categories", "column projects.category_id", "column conversations.category_id", "column knowledge_base.category_id", "column files.category_id", "function categories_are_a_tree()", "function is_own_category(text)", "policy projects.projects_own_category", "policy conversations.conversations_own_category", "policy knowledge_base.knowledge_base_own_category", "policy files.files_own_category"]}, {"name": "add-project-to-transcriptions.sql", "checksums": ["e338d7feb987c494fe5f0683d96fa18522680ca7d5b40ae6913ef1b071ace343"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column audio_transcriptions.project_id", "column audio_transcriptions.shared_project_id", "column audio_transcriptions.project_tag", "column audio_transcriptions.category_id", "column audio_transcriptions.auto_categorized", "column audio_transcriptions.category_confidence", "constraint audio_transcriptions.audio_transcriptions_category_confidence_check", "function audio_transcriptions_tag_or_project()", "trigger audio_transcriptions.audio_transcriptions_tag_or_project", "trigger audio_transcriptions.audio_transcriptions_track_shared_project", "policy audio_transcriptions.audio_transcriptions_own_project", "policy audio_transcriptions.audio_transcriptions_collaborator_read"], "makes on hosted": ["column audio_transcriptions.project_id", "column audio_transcriptions.shared_project_id", "column audio_transcriptions.project_tag", "column audio_transcriptions.category_id", "column audio_transcriptions.auto_categorized", "column audio_transcriptions.category_confidence", "constraint audio_transcriptions.audio_transcriptions_category_confidence_check", "function audio_transcriptions_tag_or_project()", "trigger audio_transcriptions.audio_transcriptions_tag_or_project", "trigger audio_transcriptions.audio_transcriptions_track_shared_project", "policy audio_transcriptions.audio_transcriptions_own_project", "policy audio_transcriptions.audio_transcriptions_collaborator_read"]}, {"name": "add-project-id-to-conversations.sql", "checksums": ["05ae9902efde86e62ef415834567a15a9bd8128bda1114bdfd7aa5de93a8adfb"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column conversations.project_id", "column conversations.shared_project_id", "policy conversations.conversations_own_project", "trigger conversations.conversations_general_project", "trigger conversations.conversations_track_shared_project", "policy conversations.conversations_collaborator_read", "policy messages.messages_of_shared_conversations_read"], "makes on hosted": ["column conversations.project_id", "column conversations.shared_project_id", "policy conversations.conversations_own_project", "trigger conversations.conversations_general_project", "trigger conversations.conversations_track_shared_project", "policy conversations.conversations_collaborator_read", "policy messages.messages_of_shared_conversations_read"]}, {"name": "add-conversation-pinning.sql", "checksums": ["acde7cd591686d8e6f2d85761e00fbf0efdc056016c7f8761bf22ddf1feb4c37"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column conversations.is_pinned", "column conversations.pinned", "column conversations.pinned_at", "column conversations.pinned_by", "function conversations_sync_is_pinned()", "trigger conversations.conversations_sync_is_pinned", "function conversations_track_pinning()", "trigger conversations.conversations_track_pinning"], "makes on hosted": ["column conversations.is_pinned", "column conversations.pinned", "column conversations.pinned_at", "column conversations.pinned_by", "function conversations_sync_is_pinned()", "trigger conversations.conversations_sync_is_pinned", "function conversations_track_pinning()", "trigger conversations.conversations_track_pinning"]}, {"name": "FIX_PROJECT_ID_TYPE.sql", "checksums": ["0256b4ddbe2ef689829abd9ed5b9aa1746603aa8a17ea29de6cd906086bb686d"], "instead": [], "on": ["bare", "hosted"], "makes on bare": [], "makes on hosted": []}, {"name": "COMPREHENSIVE_TYPE_FIX.sql", "checksums": ["71d3e3f27d0ab05a479623d7d2a601e545c0a5c45a6fa8d4551d3fb39a7b85bc"], "instead": [], "on": ["bare", "hosted"], "makes on bare": [], "makes on hosted": []}, {"name": "optimize-projects-FINAL.sql", "checksums": ["a017a8f5ce9a4d8b94d241a4d2d2c97e8df06f1684395cf1fe8f9c809bc4e7ac"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["index idx_projects_owner_id_status_updated_at", "index idx_projects_owner_id_priority_updated_at", "index idx_projects_active_owner_id_updated_at", "index idx_projects_unarchived_user_id_updated_at", "index idx_conversations_user_id_project_id_updated_at", "index idx_audio_transcriptions_user_id_project_id_created_at", "index idx_files_user_id_project_id_created_at", "index idx_knowledge_base_user_id_project_id_created_at", "statistics projects_owner_id_user_id_statistics", "statistics conversations_user_id_project_id_statistics", "statistics audio_transcriptions_user_id_project_id_statistics", "statistics files_user_id_project_id_statistics", "statistics knowledge_base_user_id_project_id_statistics"], "makes on hosted": ["index idx_projects_owner_id_status_updated_at", "index idx_projects_owner_id_priority_updated_at", "index idx_projects_active_owner_id_updated_at", "index idx_projects_unarchived_user_id_updated_at", "index idx_conversations_user_id_project_id_updated_at", "index idx_audio_transcriptions_user_id_project_id_created_at", "index idx_files_user_id_project_id_created_at", "index idx_knowledge_base_user_id_project_id_created_at", "statistics projects_owner_id_user_id_statistics", "statistics conversations_user_id_project_id_statistics", "statistics audio_transcriptions_user_id_project_id_statistics", "statistics files_user_id_project_id_statistics", "statistics knowledge_base_user_id_project_id_statistics"]}, {"name": "add-embedding-columns.sql", "checksums": ["5adf596ebc1808e1b3713fa968b779886b76cdd7784ae0f9076e08e90d6adfa6"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column conversations.embedding", "column projects.embedding", "column files.embedding", "column audio_transcriptions.embedding"], "makes on hosted": ["column conversations.embedding", "column projects.embedding", "column files.embedding", "column audio_transcriptions.embedding"]}, {"name": "supabase-semantic-search-schema.sql", "checksums": ["25346295068b86b8a0529e79f95b2af885b3969a6fb986502ad143884cb9f686"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table semantic_search_metadata", "view embedding_sources", "function note_embedding(text,text,text,text,text,vector,vector)", "function track_embedding()", "trigger messages.messages_track_embedding", "trigger messages.messages_track_embedding_truncate", "trigger knowledge_base.knowledge_base_track_embedding", "trigger knowledge_base.knowledge_base_track_embedding_truncate", "trigger conversations.conversations_track_embedding", "trigger conversations.conversations_track_embedding_truncate", "trigger projects.projects_track_embedding", "trigger projects.projects_track_embedding_truncate", "trigger files.files_track_embedding", "trigger files.files_track_embedding_truncate", "trigger audio_transcriptions.audio_transcriptions_track_embedding", "trigger audio_transcriptions.audio_transcriptions_track_embedding_truncate", "table semantic_search_log", "view semantic_search_performance", "view embedding_coverage", "function log_semantic_search(text,text,text,double precision,integer,integer,double precision,timestamp with time zone,jsonb)", "function slow_semantic_searches(double precision,interval,integer)", "function vector_index_health()", "function recommend_ef_search(double precision,integer,integer)"], "makes on hosted": ["table semantic_search_metadata", "view embedding_sources", "function note_embedding(text,text,text,text,text,vector,vector)", "function track_embedding()", "trigger messages.messages_track_embedding", "trigger messages.messages_track_embedding_truncate", "trigger knowledge_base.knowledge_base_track_embedding", "trigger knowledge_base.knowledge_base_track_embedding_truncate", "trigger conversations.conversations_track_embedding", "trigger conversations.conversations_track_embedding_truncate", "trigger projects.projects_track_embedding", "trigger projects.projects_track_embedding_truncate", "trigger files.files_track_embedding", "trigger files.files_track_embedding_truncate", "trigger audio_transcriptions.audio_transcriptions_track_embedding", "trigger audio_transcriptions.audio_transcriptions_track_embedding_truncate", "table semantic_search_log", "view semantic_search_performance", "view embedding_coverage", "function log_semantic_search(text,text,text,double precision,integer,integer,double precision,timestamp with time zone,jsonb)", "function slow_semantic_searches(double precision,interval,integer)", "function vector_index_health()", "function recommend_ef_search(double precision,integer,integer)"]}, {"name": "create-semantic-search-function.sql", "checksums": ["45c2927103eb48db28a5d86a760b2387dbfe37fe6b26c95fd4738882cf0eb1f8"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["function project_of_content(text)", "function nearest_content(text,vector,double precision,integer,text,text)", "function search_knowledge_base(vector,double precision,integer,text,text,text,double precision,text)", "function search_all_content(vector,text,double precision,integer,text,text[])"], "makes on hosted": ["function project_of_content(text)", "function nearest_content(text,vector,double precision,integer,text,text)", "function search_knowledge_base(vector,double precision,integer,text,text,text,double precision,text)", "function search_all_content(vector,text,double precision,integer,text,text[])"]}, {"name": "add-knowledge-base-source-id-constraint.sql", "checksums": ["68007c37c0df9aa4ecc5359320ea4613d4e201ef120274492295bf809a182d5a"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["constraint knowledge_base.knowledge_base_source_id_check", "constraint knowledge_base.knowledge_base_source_id_key", "constraint knowledge_base.knowledge_base_source_type_check"], "makes on hosted": ["constraint knowledge_base.knowledge_base_source_id_check", "constraint knowledge_base.knowledge_base_source_id_key", "constraint knowledge_base.knowledge_base_source_type_check"]}, {"name": "file-registry-migration.sql", "checksums": ["5b3fd9c617b1a8610a6df1fffd78bbcaae1bf120f4f3fee861790efb968b648c"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table file_registry", "function file_registry_track_processing()", "function file_registry_next_version()", "function file_registry_follow_version()"], "makes on hosted": ["table file_registry", "function file_registry_track_processing()", "function file_registry_next_version()", "function file_registry_follow_version()"]}, {"name": "file-integration-enhancement.sql", "checksums": ["0122fbd4966c9d917e41e1e6e0a0565b15f4cc506e12d44216f6a56745d1cda3"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column knowledge_base.file_id", "table file_relationships", "table file_sources", "view duplicate_files", "function link_duplicate_files()", "function file_registry_track_source()", "trigger file_registry.file_registry_track_source", "function file_registry_track_version()", "trigger file_registry.file_registry_track_version", "policy knowledge_base.knowledge_base_own_file"], "makes on hosted": ["column knowledge_base.file_id", "table file_relationships", "table file_sources", "view duplicate_files", "function link_duplicate_files()", "function file_registry_track_source()", "trigger file_registry.file_registry_track_source", "function file_registry_track_version()", "trigger file_registry.file_registry_track_version", "policy knowledge_base.knowledge_base_own_file"]}, {"name": "notifications-table-migration.sql", "checksums": ["19c9e7853bcc00b35505144fec5c4081622a776680eb441b76fecb6b37478e39"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table notifications", "function notifications_track_reading()"], "makes on hosted": ["table notifications", "function notifications_track_reading()"]}, {"name": "backups-table-migration.sql", "checksums": ["d04d6fd50e91d64650954032a39f43fdb16a6807370551037db6b5da21d2fbba"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table backups", "view restore_points", "function backups_protect_restore_points()", "function make_restore_point(text,text,timestamp with time zone)", "function release_restore_point(text)", "function purge_expired_backups()"], "makes on hosted": ["table backups", "view restore_points", "function backups_protect_restore_points()", "function make_restore_point(text,text,timestamp with time zone)", "function release_restore_point(text)", "function purge_expired_backups()"]}, {"name": "api-cost-tracking.sql", "checksums": ["67344110725b7cc6b4f1aab396737ed629b8167b9ae4017b25f87dc9c5aad48e"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table api_cost_tracking", "table budget_config", "table budget_alerts", "table budget_spending", "table budget_changes", "table cost_models", "view daily_costs", "view monthly_costs", "function count_budget_month(text,timestamp with time zone)", "function raise_budget_alerts(budget_spending[])", "function api_cost_tracking_alert()", "function settle_budget_changes()", "function budget_changes_settle()", "function api_cost_tracking_forget()", "function budget_config_alert()"], "makes on hosted": ["table api_cost_tracking", "table budget_config", "table budget_alerts", "table budget_spending", "table budget_changes", "table cost_models", "view daily_costs", "view monthly_costs", "function count_budget_month(text,timestamp with time zone)", "function raise_budget_alerts(budget_spending[])", "function api_cost_tracking_alert()", "function settle_budget_changes()", "function budget_changes_settle()", "function api_cost_tracking_forget()", "function budget_config_alert()"]}, {"name": "fix-cost-tracking-user-id-CORRECTED.sql", "checksums": ["35cddabb69eaa51c00276f6451e4dba916823f70b8d45545340d653a8665ca05"], "instead": [], "on": ["bare", "hosted"], "makes on bare": [], "makes on hosted": []}, {"name": "model-performance-tracking.sql", "checksums": ["90abb118d4bc35f88d5b98886437f4bfc5f520e9b2c073a526fef22e46733d2f"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table model_performance_metrics", "function model_performance_metrics_sync_model_name()", "function model_performance_metrics_sync_total_tokens()", "view model_performance_summary", "view model_error_rates"], "makes on hosted": ["table model_performance_metrics", "function model_performance_metrics_sync_model_name()", "function model_performance_metrics_sync_total_tokens()", "view model_performance_summary", "view model_error_rates"]}, {"name": "model-cost-comparison-enhancement.sql", "checksums": ["aeefbcf8f789003a13120f4ed96a31e7904c774d31b30cffb57511265856a4ef"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column model_performance_metrics.cost_usd", "constraint model_performance_metrics.model_performance_metrics_cost_usd_check", "function model_performance_metrics_price()", "trigger model_performance_metrics.model_performance_metrics_price", "function model_costs_since(timestamp with time zone,text)", "view model_task_costs", "function recommend_model(text,text,numeric,integer)", "function suggest_budget_savings(integer,integer,text)"], "makes on hosted": ["column model_performance_metrics.cost_usd", "constraint model_performance_metrics.model_performance_metrics_cost_usd_check", "function model_performance_metrics_price()", "trigger model_performance_metrics.model_performance_metrics_price", "function model_costs_since(timestamp with time zone,text)", "view model_task_costs", "function recommend_model(text,text,numeric,integer)", "function suggest_budget_savings(integer,integer,text)"]}, {"name": "add-transcription-job-tracking.sql", "checksums": ["2839826a1396d0249bdcf8a3e700e643d423ab16724686ec35e6be8d8d56597c"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column audio_transcriptions.status", "column audio_transcriptions.progress", "column audio_transcriptions.job_id", "column audio_transcriptions.assemblyai_id", "column audio_transcriptions.service", "column audio_transcriptions.error_message", "column audio_transcriptions.error", "column audio_transcriptions.job_metadata", "column audio_transcriptions.job_submitted_at", "column audio_transcriptions.job_completed_at", "constraint audio_transcriptions.audio_transcriptions_job_completed_at_check", "constraint audio_transcriptions.audio_transcriptions_progress_check", "index idx_audio_transcriptions_open_jobs", "function audio_transcriptions_sync_error_message()", "trigger audio_transcriptions.audio_transcriptions_sync_error_message"], "makes on hosted": ["column audio_transcriptions.status", "column audio_transcriptions.progress", "column audio_transcriptions.job_id", "column audio_transcriptions.assemblyai_id", "column audio_transcriptions.service", "column audio_transcriptions.error_message", "column audio_transcriptions.error", "column audio_transcriptions.job_metadata", "column audio_transcriptions.job_submitted_at", "column audio_transcriptions.job_completed_at", "constraint audio_transcriptions.audio_transcriptions_job_completed_at_check", "constraint audio_transcriptions.audio_transcriptions_progress_check", "index idx_audio_transcriptions_open_jobs", "function audio_transcriptions_sync_error_message()", "trigger audio_transcriptions.audio_transcriptions_sync_error_message"]}, {"name": "MIGRATION_FIX_TRANSCRIPTION.sql", "checksums": ["708d39b038fdc8080abab2c6c424a2915cef2da766cf00187acaf35598a79453"], "instead": [], "on": ["bare", "hosted"], "makes on bare": [], "makes on hosted": []}, {"name": "zapier-webhook-logs.sql", "checksums": ["df389d0fe598dd0388fc7c61d3dae40a49ad3fa233550acc53490a08116e6a88"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table zapier_webhook_logs", "view zapier_webhook_rates", "function zapier_webhook_allowance(text,integer,interval)"], "makes on hosted": ["table zapier_webhook_logs", "view zapier_webhook_rates", "function zapier_webhook_allowance(text,integer,interval)"]}, {"name": "drive-edit-approval-schema.sql", "checksums": ["c9cf95358fa8c127f26fdf63a6e7cbe189bab4d49af30fad2ee42110127af87b"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table drive_edit_requests", "table drive_edit_audit_log", "function drive_edit_transition_allowed(text,text)", "function drive_edit_requests_guard()", "function drive_edit_requests_record()", "function drive_edit_audit_log_append_only()", "function drive_edit_requests_truncate()", "function expire_drive_edit_requests()"], "makes on hosted": ["table drive_edit_requests", "table drive_edit_audit_log", "function drive_edit_transition_allowed(text,text)", "function drive_edit_requests_guard()", "function drive_edit_requests_record()", "function drive_edit_audit_log_append_only()", "function drive_edit_requests_truncate()", "function expire_drive_edit_requests()"]}, {"name": "indexing-state-schema.sql", "checksums": ["cd030c09da2b981ab822488972714bab215b81cdf9a6c1176965da1cc9c6b59c"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table indexing_state", "function indexing_state_track_sync()"], "makes on hosted": ["table indexing_state", "function indexing_state_track_sync()"]}, {"name": "device-continuity.sql", "checksums": ["1b8cee905edcb549ce125745767f8fbbf4d1362cf8613f361555b6aa62e26b62"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table devices", "table device_context", "table device_sync_queue", "table device_context_conflicts", "function device_context_stamp()", "function merge_device_context(text,jsonb,jsonb,bigint,boolean)", "function save_device_context(text,jsonb,bigint,timestamp with time zone,text)", "function sync_device_context(text,text)", "function claim_device_sync(text,integer)", "function device_context_forget()"], "makes on hosted": ["table devices", "table device_context", "table device_sync_queue", "table device_context_conflicts", "function device_context_stamp()", "function merge_device_context(text,jsonb,jsonb,bigint,boolean)", "function save_device_context(text,jsonb,bigint,timestamp with time zone,text)", "function sync_device_context(text,text)", "function claim_device_sync(text,integer)", "function device_context_forget()"]}, {"name": "autonomous-agent-schema.sql", "checksums": ["dae058dbf7f159ca692bcfadec5c89ed088d9d14e2fb5eafff47b9e629464d54"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table agent_tasks", "table agent_findings", "table agent_execution_log", "function agent_tasks_plan()", "function agent_tasks_schedule_next()", "function fail_silent_agent_tasks()", "function claim_agent_task(text[],interval)", "function agent_task_at_work(uuid,integer)", "function renew_agent_task(uuid,integer,interval)", "function finish_agent_task(uuid,text,text,text,text[],integer)", "function agent_tasks_record_execution()"], "makes on hosted": ["table agent_tasks", "table agent_findings", "table agent_execution_log", "function agent_tasks_plan()", "function agent_tasks_schedule_next()", "function fail_silent_agent_tasks()", "function claim_agent_task(text[],interval)", "function agent_task_at_work(uuid,integer)", "function renew_agent_task(uuid,integer,interval)", "function finish_agent_task(uuid,text,text,text,text[],integer)", "function agent_tasks_record_execution()"]}, {"name": "workflow_automation_schema.sql", "checksums": ["bb8084632e49a30d647e173eade42cf092a1eedcdb1530e37df88348a18f16e7"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table workflows", "table workflow_executions", "table workflow_triggers", "table workflow_actions", "function workflows_sync_active()", "function workflow_executions_fill_owner()", "function workflow_trigger_next_run(text,timestamp with time zone,text,timestamp with time zone,timestamp with time zone)", "function workflow_triggers_plan()", "function workflows_plan_triggers()", "function claim_workflow_triggers(integer)"], "makes on hosted": ["table workflows", "table workflow_executions", "table workflow_triggers", "table workflow_actions", "function workflows_sync_active()", "function workflow_executions_fill_owner()", "function workflow_trigger_next_run(text,timestamp with time zone,text,timestamp with time zone,timestamp with time zone)", "function workflow_triggers_plan()", "function workflows_plan_triggers()", "function claim_workflow_triggers(integer)"]}, {"name": "chatgpt-import-schema.sql", "checksums": ["92be8c7bfa3e39dbe69898fe85e247ea9d9ebb67acfaeaecf1d738b7d1ed0dfd"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table chatgpt_imports", "table chatgpt_conversations", "table chatgpt_messages", "function chatgpt_track_embedding()", "function search_chatgpt(text,integer)"], "makes on hosted": ["table chatgpt_imports", "table chatgpt_conversations", "table chatgpt_messages", "function chatgpt_track_embedding()", "function search_chatgpt(text,integer)"]}, {"name": "api-logs-table.sql", "checksums": ["7f26922486c57efe5d6d6e2b3a5ec338979daebfd09f8ba9fae08bd0c35f1dfe"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table api_logs"], "makes on hosted": ["table api_logs"]}, {"name": "api-logs-schema.sql", "checksums": ["51f2ae9baf7552e073b450d474058c4bcf3e5f1b22b1f5f337ccb529113e5a80"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["column api_logs.session_id", "column api_logs.request_id", "column api_logs.environment", "column api_logs.query_params", "column api_logs.headers", "column api_logs.request_body", "column api_logs.response_body", "column api_logs.metadata", "column api_logs.request_size_bytes", "column api_logs.response_size_bytes", "column api_logs.database_time_ms", "column api_logs.upstream_time_ms", "column api_logs.cache_hit", "column api_logs.error_category", "column api_logs.error_code", "column api_logs.stack_trace", "column api_logs.rate_limited", "column api_logs.rate_limit", "column api_logs.rate_limit_remaining", "column api_logs.rate_limit_reset_at", "constraint api_logs.api_logs_database_time_ms_check", "constraint api_logs.api_logs_error_category_check", "constraint api_logs.api_logs_rate_limit_check", "constraint api_logs.api_logs_rate_limit_remaining_check", "constraint api_logs.api_logs_request_size_bytes_check", "constraint api_logs.api_logs_response_size_bytes_check", "constraint api_logs.api_logs_upstream_time_ms_check", "table api_rate_limits", "function api_error_category(integer,text)", "function api_logs_categorize_error()", "trigger api_logs.api_logs_categorize_error", "function count_api_request(text,text,integer,integer)", "function purge_api_rate_limits(interval)", "view api_endpoint_performance", "view api_error_summary", "view api_rate_limit_usage"], "makes on hosted": ["column api_logs.session_id", "column api_logs.request_id", "column api_logs.environment", "column api_logs.query_params", "column api_logs.headers", "column api_logs.request_body", "column api_logs.response_body", "column api_logs.metadata", "column api_logs.request_size_bytes", "column api_logs.response_size_bytes", "column api_logs.database_time_ms", "column api_logs.upstream_time_ms", "column api_logs.cache_hit", "column api_logs.error_category", "column api_logs.error_code", "column api_logs.stack_trace", "column api_logs.rate_limited", "column api_logs.rate_limit", "column api_logs.rate_limit_remaining", "column api_logs.rate_limit_reset_at", "constraint api_logs.api_logs_database_time_ms_check", "constraint api_logs.api_logs_error_category_check", "constraint api_logs.api_logs_rate_limit_check", "constraint api_logs.api_logs_rate_limit_remaining_check", "constraint api_logs.api_logs_request_size_bytes_check", "constraint api_logs.api_logs_response_size_bytes_check", "constraint api_logs.api_logs_upstream_time_ms_check", "table api_rate_limits", "function api_error_category(integer,text)", "function api_logs_categorize_error()", "trigger api_logs.api_logs_categorize_error", "function count_api_request(text,text,integer,integer)", "function purge_api_rate_limits(interval)", "view api_endpoint_performance", "view api_error_summary", "view api_rate_limit_usage"]}, {"name": "mcp-servers-schema.sql", "checksums": ["bb50b4880ecec0c22ded9d8588cad479a92922e0c890364187297f293c55c9e6"], "instead": [], "on": ["bare", "hosted"], "makes on bare": ["table mcp_servers", "table mcp_tools", "table mcp_prompts", "table mcp_resources", "table mcp_health_checks", "function mcp_servers_sync_active()", "function mcp_health_checks_update_server()", "view mcp_server_health"], "makes on hosted": ["table mcp_servers", "table mcp_tools", "table mcp_prompts", "table mcp_resources", "table mcp_health_checks", "function mcp_servers_sync_active()", "function mcp_health_checks_update_server()", "view mcp_server_health"]}, {"name": "COMBINED-CRITICAL-MIGRATIONS.sql", "checksums": ["f87759dca7c4eb345466cea258358f4b784626bbcd7705d8c2c5336bed4baa84"], "instead": [], "on": ["bare", "hosted"], "makes on bare": [], "makes on hosted": []}]'::jsonb) WITH ORDINALITY AS one (each, place)
    ), there AS (
        SELECT looked.key FROM (
SELECT 'function ' || spaces[array_position(homes, routine.pronamespace)] || routine.proname || '(' || replace(oidvectortypes(routine.proargtypes), ', ', ',') || ')',
       CASE WHEN routine.proowner <> own_role THEN 'owner' END, routine.proowner::text,
       NULL::jsonb
FROM (SELECT p.*, p.prosqlbody IS NOT NULL AS atomic FROM pg_proc AS p) AS routine
WHERE routine.proname = ANY (sought_function::name[]) AND routine.pronamespace = ANY (homes)
UNION ALL
SELECT CASE WHEN relation.relkind IN ('v', 'm') THEN 'view ' WHEN relation.relkind = 'S' THEN 'sequence ' ELSE 'table ' END
       || names[array_position(relations, relation.oid)],
       CASE WHEN relation.relowner <> own_role THEN 'owner' END, relation.relowner::text,
       NULL::jsonb
FROM pg_class AS relation
WHERE relation.oid = ANY (relations) AND relation.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
UNION ALL
SELECT 'column ' || names[array_position(relations, a.attrelid)] || '.' || a.attname, NULL, NULL,
       NULL::jsonb
FROM pg_attribute AS a
WHERE a.attrelid = ANY (relations) AND a.attnum > 0 AND NOT a.attisdropped AND a.attname::text = ANY (sought_column)
UNION ALL
SELECT 'policy ' || names[array_position(relations, p.polrelid)] || '.' || p.polname, NULL, NULL,
       NULL::jsonb
FROM pg_policy AS p
WHERE p.polrelid = ANY (relations) AND p.polname::text = ANY (sought_policy)
UNION ALL
SELECT 'constraint ' || names[array_position(relations, held.conrelid)] || '.' || held.conname,
       CASE WHEN NOT held.convalidated THEN 'not valid'
            WHEN held.contype IN ('p', 'u', 'x') AND NOT (
                SELECT i.indisvalid AND i.indisready FROM pg_index AS i WHERE i.indexrelid = held.conindid) THEN 'invalid' END, NULL, NULL::jsonb
FROM pg_constraint AS held
WHERE held.conrelid = ANY (relations) AND held.conname::text = ANY (sought_constraint)
UNION ALL
SELECT 'trigger ' || names[array_position(relations, t.tgrelid)] || '.' || t.tgname,
       CASE WHEN t.tgenabled <> 'O' THEN 'enabled' END, t.tgenabled::text,
       NULL::jsonb
FROM pg_trigger AS t
WHERE t.tgrelid = ANY (relations) AND t.tgname::text = ANY (sought_trigger) AND NOT t.tgisinternal
UNION ALL
SELECT 'index ' || names[array_position(relations, i.indexrelid)],
       CASE WHEN NOT (i.indisvalid AND i.indisready) THEN 'invalid' END, NULL,
       NULL::jsonb
FROM pg_index AS i
WHERE i.indexrelid = ANY (relations)
UNION ALL
SELECT 'statistics ' || spaces[array_position(homes, s.stxnamespace)] || s.stxname,
       CASE WHEN s.stxowner <> own_role THEN 'owner' END, s.stxowner::text,
       NULL::jsonb
FROM pg_statistic_ext AS s
WHERE s.stxname = ANY (sought_statistics::name[]) AND s.stxnamespace = ANY (homes)
UNION ALL
SELECT NULL, NULL, NULL, NULL::jsonb WHERE false
        ) AS looked (key, fault, detail, expressions)
    )
    SELECT there.key, step.name INTO found_part
    FROM step JOIN there ON step.makes ? there.key
    WHERE step.taken AND NOT EXISTS (SELECT FROM step AS other WHERE other.applied AND other.makes ? there.key)
    ORDER BY step.place, there.key LIKE 'table %' DESC, there.key
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is there, and %, which makes it, is not applied: %', found_part.key, found_part.name, 'nothing of this file was kept'
            USING HINT = 'adopt() and migrate() make what is missing, and keep what is there: kimbledb adopt, then kimbledb migrate';
    END IF;
END
$kimbledb$;

-- Phase 1

-- 1. COMPLETE_MIGRATION.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'COMPLETE_MIGRATION.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['59c6fe1a606b637d4d7a0875c40bb0275467a1e4d120988418be1d08d272ce54']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 59c6fe1a606b637d4d7a0875c40bb0275467a1e4d120988418be1d08d272ce54', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
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
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- What people may do, within their policies; anon may do nothing.

GRANT SELECT, INSERT, UPDATE, DELETE
    ON projects, conversations, messages, knowledge_base, files, audio_transcriptions, processed_images,
       processed_documents
    TO authenticated;
-- A person edits their profile, not their role and permissions.
GRANT SELECT ON users, activity_logs TO authenticated;
GRANT UPDATE (name, avatar_url, preferences) ON users TO authenticated;
GRANT USAGE, SELECT ON SEQUENCE processed_images_id_seq, processed_documents_id_seq TO authenticated;
GRANT EXECUTE
    ON FUNCTION
        requesting_user_id(),
        is_own_project(text),
        is_in_own_project(anyelement),
        shared_projects(),
        is_project_of(text, text),
        has_column(regclass, text),
        cron_field(text, integer, integer, text[]),
        read_schedule(text),
        first_reading(timestamp, text),
        next_scheduled(text, timestamptz, text, timestamptz),
        check_schedule(text, text)
    TO authenticated, service_role;

-- What the service may do.

GRANT SELECT, INSERT, UPDATE, DELETE
    ON users, projects, conversations, messages, knowledge_base, files, audio_transcriptions, processed_images,
       processed_documents, activity_logs, auth_logs
    TO service_role;
GRANT USAGE, SELECT
    ON SEQUENCE processed_images_id_seq, processed_documents_id_seq, activity_logs_id_seq, auth_logs_id_seq
    TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('COMPLETE_MIGRATION.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '59c6fe1a606b637d4d7a0875c40bb0275467a1e4d120988418be1d08d272ce54',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'COMPLETE_MIGRATION.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'COMPLETE_MIGRATION.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 2

-- 2. create_user_tokens_table.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY['supabase-migration-user_tokens.sql']::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (NOT hosted) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'create_user_tokens_table.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['78de005174363205b734be8bca2d8607261b29b9b066c5f3c1b1f13f22c2e8f1']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 78de005174363205b734be8bca2d8607261b29b9b066c5f3c1b1f13f22c2e8f1', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- One person's connection to Google: the tokens that the service uses on their behalf.

CREATE TABLE user_tokens (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    email text,
    provider text NOT NULL DEFAULT 'google',
    access_token text,
    refresh_token text,
    id_token text,
    token_type text DEFAULT 'Bearer',
    scope text,
    expires_at bigint,
    expires_at_time timestamptz GENERATED ALWAYS AS (to_timestamp(expires_at)) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The application upserts without naming a conflict target: the person is the key,
    -- which makes user_id unique.
    CONSTRAINT user_tokens_pkey PRIMARY KEY (user_id),
    CONSTRAINT user_tokens_id_key UNIQUE (id),
    CONSTRAINT user_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TRIGGER user_tokens_set_updated_at BEFORE UPDATE ON user_tokens
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE user_tokens ENABLE ROW LEVEL SECURITY;

CREATE POLICY user_tokens_owner ON user_tokens
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE user_tokens IS 'A person''s connection to Google: its OAuth tokens, one row for each person.';
COMMENT ON COLUMN user_tokens.access_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.refresh_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.id_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.expires_at IS 'When the access token ends, in whole seconds since 1970, as the application writes it.';
COMMENT ON COLUMN user_tokens.expires_at_time IS 'When the access token ends, as a time. Generated from expires_at.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People see that they are connected and may disconnect; the tokens themselves
-- are read and written by the service alone.
GRANT SELECT (id, user_id, email, provider, token_type, scope, expires_at, expires_at_time, created_at, updated_at), DELETE
    ON user_tokens TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_tokens TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('create_user_tokens_table.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '78de005174363205b734be8bca2d8607261b29b9b066c5f3c1b1f13f22c2e8f1',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'create_user_tokens_table.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'create_user_tokens_table.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 3. supabase-migration-user_tokens.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY['create_user_tokens_table.sql']::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (hosted) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'supabase-migration-user_tokens.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['6bd15a10c1947dc344f42edfe359193ef8050ce0a2652e8a4393290a2fe9f821']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 6bd15a10c1947dc344f42edfe359193ef8050ce0a2652e8a4393290a2fe9f821', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- The table of create_user_tokens_table.sql, and what a hosted platform adds to it.

CREATE TABLE user_tokens (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    email text,
    provider text NOT NULL DEFAULT 'google',
    access_token text,
    refresh_token text,
    id_token text,
    token_type text DEFAULT 'Bearer',
    scope text,
    expires_at bigint,
    expires_at_time timestamptz GENERATED ALWAYS AS (to_timestamp(expires_at)) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The application upserts without naming a conflict target: the person is the key,
    -- which makes user_id unique.
    CONSTRAINT user_tokens_pkey PRIMARY KEY (user_id),
    CONSTRAINT user_tokens_id_key UNIQUE (id),
    CONSTRAINT user_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TRIGGER user_tokens_set_updated_at BEFORE UPDATE ON user_tokens
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE user_tokens ENABLE ROW LEVEL SECURITY;

CREATE POLICY user_tokens_owner ON user_tokens
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE user_tokens IS 'A person''s connection to Google: its OAuth tokens, one row for each person.';
COMMENT ON COLUMN user_tokens.access_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.refresh_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.id_token IS 'A secret: for the service alone.';
COMMENT ON COLUMN user_tokens.expires_at IS 'When the access token ends, in whole seconds since 1970, as the application writes it.';
COMMENT ON COLUMN user_tokens.expires_at_time IS 'When the access token ends, as a time. Generated from expires_at.';

-- What a hosted platform adds.

-- For the scheduled job that refreshes tokens before they end.
CREATE INDEX idx_user_tokens_expires_at ON user_tokens (expires_at) WHERE refresh_token IS NOT NULL;

-- What the platform's API shows a person of their connections, with no token in it.
CREATE VIEW user_connections WITH (security_invoker = true) AS
    SELECT id, user_id, provider, email, scope, expires_at, expires_at_time, created_at, updated_at
    FROM user_tokens;
COMMENT ON VIEW user_connections IS 'A person''s connections without the tokens.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People see that they are connected and may disconnect; the tokens themselves
-- are read and written by the service alone.
GRANT SELECT (id, user_id, email, provider, token_type, scope, expires_at, expires_at_time, created_at, updated_at), DELETE
    ON user_tokens TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_tokens TO service_role;
GRANT SELECT ON user_connections TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('supabase-migration-user_tokens.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '6bd15a10c1947dc344f42edfe359193ef8050ce0a2652e8a4393290a2fe9f821',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'supabase-migration-user_tokens.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'supabase-migration-user_tokens.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 3

-- 4. content-organization-system.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'content-organization-system.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['d45592f2312ffb30c79940cee3f769dd36ddcdf97738cbccc21bba64d5252d45']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is d45592f2312ffb30c79940cee3f769dd36ddcdf97738cbccc21bba64d5252d45', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- Categories in a tree, and which of them projects, conversations, files and
-- pieces of knowledge are in.

CREATE TABLE categories (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    parent_id text,
    name text NOT NULL,
    description text,
    color text,
    icon text,
    sort_order integer NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT categories_pkey PRIMARY KEY (id),
    CONSTRAINT categories_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    -- A branch whose parent goes becomes a root, and keeps what is in it.
    CONSTRAINT categories_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES categories (id) ON DELETE SET NULL,
    CONSTRAINT categories_name_check CHECK (name <> ''),
    CONSTRAINT categories_parent_id_check CHECK (parent_id <> id)
);

ALTER TABLE projects ADD COLUMN category_id text
    CONSTRAINT projects_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;
ALTER TABLE conversations ADD COLUMN category_id text
    CONSTRAINT conversations_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;
ALTER TABLE knowledge_base ADD COLUMN category_id text
    CONSTRAINT knowledge_base_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;
ALTER TABLE files ADD COLUMN category_id text
    CONSTRAINT files_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;

CREATE UNIQUE INDEX idx_categories_user_id_parent_id_name
    ON categories (user_id, parent_id, lower(name)) NULLS NOT DISTINCT;
CREATE INDEX idx_categories_parent_id ON categories (parent_id);
CREATE INDEX idx_projects_category_id ON projects (category_id);
CREATE INDEX idx_conversations_category_id ON conversations (category_id);
CREATE INDEX idx_knowledge_base_category_id ON knowledge_base (category_id);
CREATE INDEX idx_files_category_id ON files (category_id);

CREATE FUNCTION categories_are_a_tree() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF EXISTS (
        WITH RECURSIVE above AS (
            SELECT id, parent_id FROM categories WHERE id = NEW.parent_id
            UNION
            SELECT c.id, c.parent_id FROM categories AS c JOIN above ON c.id = above.parent_id
        )
        SELECT FROM above WHERE id = NEW.id) THEN
        RAISE EXCEPTION 'category % cannot be below itself', NEW.id
            USING ERRCODE = 'check_violation', TABLE = 'categories', COLUMN = 'parent_id';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION categories_are_a_tree() IS 'Trigger: refuses a parent that is below the category itself.';

CREATE TRIGGER categories_are_a_tree BEFORE INSERT OR UPDATE OF parent_id ON categories
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION categories_are_a_tree();
CREATE TRIGGER categories_set_updated_at BEFORE UPDATE ON categories
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE categories ENABLE ROW LEVEL SECURITY;

-- A function, since a policy of categories cannot read categories.
CREATE FUNCTION is_own_category(category_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM categories AS c WHERE c.id = $1 AND c.user_id = requesting_user_id());
END
$$;
COMMENT ON FUNCTION is_own_category(text) IS 'Whether a category is one of the caller.';

CREATE POLICY categories_owner ON categories
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id())
        AND (parent_id IS NULL OR is_own_category(parent_id)));

-- A person puts what is theirs into categories that are theirs. The policies of the
-- tables themselves are other migrations'; these narrow them.
CREATE POLICY projects_own_category ON projects AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = projects.category_id AND category.user_id = (SELECT requesting_user_id())));
CREATE POLICY conversations_own_category ON conversations AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = conversations.category_id AND category.user_id = (SELECT requesting_user_id())));
CREATE POLICY knowledge_base_own_category ON knowledge_base AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = knowledge_base.category_id AND category.user_id = (SELECT requesting_user_id())));
CREATE POLICY files_own_category ON files AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = files.category_id AND category.user_id = (SELECT requesting_user_id())));

COMMENT ON TABLE categories IS 'A person''s categories, in a tree.';
COMMENT ON COLUMN categories.parent_id IS 'The category above, or none for a root.';
COMMENT ON COLUMN categories.icon IS 'A name or a character that the application shows.';
COMMENT ON COLUMN categories.sort_order IS 'Its place among its siblings.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT, INSERT, UPDATE, DELETE ON categories TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION is_own_category(text) TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('content-organization-system.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'd45592f2312ffb30c79940cee3f769dd36ddcdf97738cbccc21bba64d5252d45',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'content-organization-system.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'content-organization-system.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 4

-- 5. add-project-to-transcriptions.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'add-project-to-transcriptions.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['e338d7feb987c494fe5f0683d96fa18522680ca7d5b40ae6913ef1b071ace343']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is e338d7feb987c494fe5f0683d96fa18522680ca7d5b40ae6913ef1b071ace343', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- add-project-to-transcriptions.sql
--
-- The project of a transcription, and what automatic categorization says of it.
-- project_id has no default: a transcription of no project has NULL there. The
-- application also writes tags into it, such as 'general' and 'gaming': a name that
-- no project has goes into project_tag.
--
-- Nothing here depends on the column project_id but what goes with it, so that
-- ALTER TABLE audio_transcriptions DROP COLUMN project_id needs no CASCADE.

ALTER TABLE audio_transcriptions
    ADD COLUMN project_id text
        CONSTRAINT audio_transcriptions_project_id_fkey REFERENCES projects (id) ON DELETE SET NULL,
    ADD COLUMN shared_project_id text,
    ADD COLUMN project_tag text,
    ADD COLUMN category_id text,
    ADD COLUMN auto_categorized boolean NOT NULL DEFAULT false,
    ADD COLUMN category_confidence double precision
        CONSTRAINT audio_transcriptions_category_confidence_check CHECK (category_confidence BETWEEN 0 AND 1);

CREATE INDEX idx_audio_transcriptions_project_id_created_at
    ON audio_transcriptions (project_id, created_at DESC);
CREATE INDEX idx_audio_transcriptions_shared_project_id ON audio_transcriptions (shared_project_id);
CREATE INDEX idx_audio_transcriptions_project_tag_created_at
    ON audio_transcriptions (project_tag, created_at DESC);
CREATE INDEX idx_audio_transcriptions_category_id_category_confidence
    ON audio_transcriptions (category_id, category_confidence);

COMMENT ON COLUMN audio_transcriptions.project_id IS
    'The project it belongs to, NULL for none. A name that no project has is moved to project_tag.';
COMMENT ON COLUMN audio_transcriptions.shared_project_id IS 'project_id once more, kept by a trigger, for the policy of collaborators.';
COMMENT ON COLUMN audio_transcriptions.project_tag IS
    'The name that the application gave in place of a project, such as general or gaming.';
COMMENT ON COLUMN audio_transcriptions.category_id IS
    'The category that automatic categorization, or a person, chose: plain text, not a key.';
COMMENT ON COLUMN audio_transcriptions.auto_categorized IS 'Whether category_id was chosen automatically.';
COMMENT ON COLUMN audio_transcriptions.category_confidence IS 'How sure automatic categorization was, 0 to 1.';

-- Whether a project exists does not depend on who asks: a definer's rights see all of them.
CREATE FUNCTION audio_transcriptions_tag_or_project() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT has_column(TG_RELID, 'project_id') THEN
        RETURN NEW;
    END IF;
    IF NEW.project_id IS NOT DISTINCT FROM OLD.project_id THEN
        RETURN NEW;
    END IF;
    IF EXISTS (SELECT FROM projects WHERE id = NEW.project_id) THEN
        -- A tag in place of a project goes when a project comes; one beside a project stays.
        IF TG_OP = 'UPDATE' AND OLD.project_id IS NULL AND NEW.project_tag IS NOT DISTINCT FROM OLD.project_tag THEN
            NEW.project_tag := NULL;
        END IF;
    ELSIF NEW.project_id IS NOT NULL THEN
        IF NEW.project_tag IS DISTINCT FROM OLD.project_tag AND NEW.project_tag <> NEW.project_id THEN
            RAISE EXCEPTION 'audio_transcriptions.project_id names no project, and audio_transcriptions.project_tag is another name'
                USING ERRCODE = 'check_violation', TABLE = 'audio_transcriptions', COLUMN = 'project_tag',
                      HINT = 'Give one of them, or the same name in both.';
        END IF;
        NEW.project_tag := NEW.project_id;
        NEW.project_id := NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION audio_transcriptions_tag_or_project() IS
    'Trigger: moves a project_id that names no project to project_tag, and takes a tag away that a project replaces.';
CREATE TRIGGER audio_transcriptions_tag_or_project BEFORE INSERT OR UPDATE ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION audio_transcriptions_tag_or_project();
-- After it, by its name.
CREATE TRIGGER audio_transcriptions_track_shared_project BEFORE INSERT OR UPDATE ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION track_shared_project();

-- A transcription has an owner of its own. The policy of its owner does not
-- look at the project, so this one, which restricts, does: nobody puts a row
-- into a project of somebody else.
CREATE POLICY audio_transcriptions_own_project ON audio_transcriptions AS RESTRICTIVE
    WITH CHECK (is_in_own_project(audio_transcriptions));
CREATE POLICY audio_transcriptions_collaborator_read ON audio_transcriptions FOR SELECT
    USING (shared_project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(shared_project_id, user_id));
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('add-project-to-transcriptions.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'e338d7feb987c494fe5f0683d96fa18522680ca7d5b40ae6913ef1b071ace343',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'add-project-to-transcriptions.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'add-project-to-transcriptions.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 6. add-project-id-to-conversations.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'add-project-id-to-conversations.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['05ae9902efde86e62ef415834567a15a9bd8128bda1114bdfd7aa5de93a8adfb']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 05ae9902efde86e62ef415834567a15a9bd8128bda1114bdfd7aa5de93a8adfb', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- add-project-id-to-conversations.sql
--
-- The project of a conversation. Deleting a project leaves its conversations,
-- without one. Nothing here depends on the column but what goes with it, so that
-- ALTER TABLE conversations DROP COLUMN project_id needs no CASCADE.

ALTER TABLE conversations
    ADD COLUMN project_id text
        CONSTRAINT conversations_project_id_fkey REFERENCES projects (id) ON DELETE SET NULL,
    ADD COLUMN shared_project_id text;

-- A project's conversations, the latest first.
CREATE INDEX idx_conversations_project_id_updated_at ON conversations (project_id, updated_at DESC);
CREATE INDEX idx_conversations_shared_project_id ON conversations (shared_project_id);

COMMENT ON COLUMN conversations.project_id IS 'The project it belongs to, NULL for none; ''general'' is none unless a project has that id.';
COMMENT ON COLUMN conversations.shared_project_id IS 'project_id once more, kept by a trigger, for the policy of collaborators.';

-- A conversation has an owner of its own. The policy of its owner does not
-- look at the project, so this one, which restricts, does: nobody puts a row
-- into a project of somebody else.
CREATE POLICY conversations_own_project ON conversations AS RESTRICTIVE
    WITH CHECK (is_in_own_project(conversations));

CREATE TRIGGER conversations_general_project BEFORE INSERT OR UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION general_project_is_none();
CREATE TRIGGER conversations_track_shared_project BEFORE INSERT OR UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION track_shared_project();

-- A collaborator reads the conversations that the owner of a project has in it, with all their messages.
CREATE POLICY conversations_collaborator_read ON conversations FOR SELECT
    USING (shared_project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(shared_project_id, user_id));
CREATE POLICY messages_of_shared_conversations_read ON messages FOR SELECT
    USING (conversation_id = ANY (ARRAY(
        SELECT c.id FROM conversations AS c WHERE c.shared_project_id = ANY ((SELECT shared_projects())::text[]))));
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('add-project-id-to-conversations.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '05ae9902efde86e62ef415834567a15a9bd8128bda1114bdfd7aa5de93a8adfb',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'add-project-id-to-conversations.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'add-project-id-to-conversations.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 7. add-conversation-pinning.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'add-conversation-pinning.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['acde7cd591686d8e6f2d85761e00fbf0efdc056016c7f8761bf22ddf1feb4c37']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is acde7cd591686d8e6f2d85761e00fbf0efdc056016c7f8761bf22ddf1feb4c37', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- add-conversation-pinning.sql
--
-- is_pinned is the documented column; the application says pinned. Both work,
-- for reading and writing, and a trigger keeps them equal. It also fills in the
-- default, so neither column has one of its own: with one, an INSERT that names
-- the other column could not be told from one that names both.
--
-- The defaults here are for the rows that are there already, and go at once.

ALTER TABLE conversations
    ADD COLUMN is_pinned boolean NOT NULL DEFAULT false,
    ADD COLUMN pinned boolean DEFAULT false,
    ADD COLUMN pinned_at timestamptz,
    ADD COLUMN pinned_by text
        CONSTRAINT conversations_pinned_by_fkey REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE conversations
    ALTER COLUMN is_pinned DROP DEFAULT,
    ALTER COLUMN pinned DROP DEFAULT;

-- A person's pins, the latest first; most conversations are not pinned, and not in it.
CREATE INDEX idx_conversations_user_id_pinned_at ON conversations (user_id, pinned_at DESC)
    WHERE is_pinned;
CREATE INDEX idx_conversations_pinned_by ON conversations (pinned_by);

CREATE FUNCTION conversations_sync_is_pinned() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.is_pinned <> NEW.pinned THEN
            RAISE EXCEPTION 'conversations.is_pinned (%) and conversations.pinned (%) are one value under two names, and differ', NEW.is_pinned, NEW.pinned
                USING ERRCODE = 'check_violation', HINT = 'Give one of them, or both alike.';
        END IF;
        NEW.is_pinned := coalesce(NEW.is_pinned, NEW.pinned, false);
        NEW.pinned := NEW.is_pinned;
    ELSIF NEW.is_pinned IS NOT DISTINCT FROM OLD.is_pinned THEN
        NEW.is_pinned := NEW.pinned;
    ELSIF NEW.pinned IS NOT DISTINCT FROM OLD.pinned THEN
        NEW.pinned := NEW.is_pinned;
    ELSIF NEW.is_pinned IS DISTINCT FROM NEW.pinned THEN
        RAISE EXCEPTION 'conversations.is_pinned (%) and conversations.pinned (%) are one value under two names, and differ', NEW.is_pinned, NEW.pinned
            USING ERRCODE = 'check_violation', HINT = 'Change one of them, or both alike.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION conversations_sync_is_pinned() IS
    'Keeps is_pinned and the application''s pinned equal: the changed one wins; both changed and different is an '
    'error.';

CREATE TRIGGER conversations_sync_is_pinned
    BEFORE INSERT OR UPDATE OF is_pinned, pinned ON conversations
    FOR EACH ROW EXECUTE FUNCTION conversations_sync_is_pinned();

-- Runs after conversations_sync_is_pinned: triggers of one kind go by name.
CREATE FUNCTION conversations_track_pinning() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT NEW.is_pinned THEN
        NEW.pinned_at := NULL;
        NEW.pinned_by := NULL;
    ELSIF TG_OP = 'INSERT' OR NOT OLD.is_pinned THEN
        NEW.pinned_at := coalesce(NEW.pinned_at, now());
        IF NEW.pinned_by IS NULL THEN
            SELECT person.id INTO NEW.pinned_by FROM users AS person WHERE person.id = requesting_user_id();
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION conversations_track_pinning() IS
    'Notes when and by whom a conversation was pinned where the statement does not say, and clears both when it is '
    'no longer.';

CREATE TRIGGER conversations_track_pinning
    BEFORE INSERT OR UPDATE OF is_pinned, pinned ON conversations
    FOR EACH ROW EXECUTE FUNCTION conversations_track_pinning();

COMMENT ON COLUMN conversations.is_pinned IS 'Whether the conversation is pinned; pinned is the same.';
COMMENT ON COLUMN conversations.pinned IS 'The application''s name for is_pinned, kept equal by a trigger.';
COMMENT ON COLUMN conversations.pinned_at IS 'When it was pinned; NULL where it is not.';
COMMENT ON COLUMN conversations.pinned_by IS 'The person who pinned it; NULL where the service did.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('add-conversation-pinning.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'acde7cd591686d8e6f2d85761e00fbf0efdc056016c7f8761bf22ddf1feb4c37',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'add-conversation-pinning.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'add-conversation-pinning.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 8. FIX_PROJECT_ID_TYPE.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'FIX_PROJECT_ID_TYPE.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['0256b4ddbe2ef689829abd9ed5b9aa1746603aa8a17ea29de6cd906086bb686d']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 0256b4ddbe2ef689829abd9ed5b9aa1746603aa8a17ea29de6cd906086bb686d', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- FIX_PROJECT_ID_TYPE.sql
--
-- A repair: ids of projects are text, wherever they stand. The columns are those that
-- migration.toml expects. In a new database they are text from the start, and there is
-- nothing to do. In one from before, where they are uuid or varchar, they are converted
-- with all that hangs on them, and every row and relation stays.
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('FIX_PROJECT_ID_TYPE.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '0256b4ddbe2ef689829abd9ed5b9aa1746603aa8a17ea29de6cd906086bb686d',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'FIX_PROJECT_ID_TYPE.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'FIX_PROJECT_ID_TYPE.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 9. COMPREHENSIVE_TYPE_FIX.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'COMPREHENSIVE_TYPE_FIX.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['71d3e3f27d0ab05a479623d7d2a601e545c0a5c45a6fa8d4551d3fb39a7b85bc']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 71d3e3f27d0ab05a479623d7d2a601e545c0a5c45a6fa8d4551d3fb39a7b85bc', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- COMPREHENSIVE_TYPE_FIX.sql
--
-- A repair: ids of people, projects, conversations, messages, files and categories
-- are text, in every table that refers to them. The columns are those that
-- migration.toml expects; tables of later migrations are among them, since a database
-- from before may have them. In a new database there is nothing to do. In one from
-- before, where ids are uuid or varchar, they are converted with all that hangs on
-- them, and every row and relation stays.
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('COMPREHENSIVE_TYPE_FIX.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '71d3e3f27d0ab05a479623d7d2a601e545c0a5c45a6fa8d4551d3fb39a7b85bc',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'COMPREHENSIVE_TYPE_FIX.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'COMPREHENSIVE_TYPE_FIX.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 10. optimize-projects-FINAL.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'optimize-projects-FINAL.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['a017a8f5ce9a4d8b94d241a4d2d2c97e8df06f1684395cf1fe8f9c809bc4e7ac']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is a017a8f5ce9a4d8b94d241a4d2d2c97e8df06f1684395cf1fe8f9c809bc4e7ac', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- optimize-projects-FINAL.sql
--
-- Indexes for how the application lists projects and what belongs to them, and
-- statistics that keep the planner from misjudging such joins. Row level
-- security adds the owner to every question a person asks, so the owner comes
-- first in each index.


-- Frequently queried columns: a person's projects by status, or by priority.
CREATE INDEX idx_projects_owner_id_status_updated_at ON projects (owner_id, status, updated_at DESC);
CREATE INDEX idx_projects_owner_id_priority_updated_at ON projects (owner_id, priority, updated_at DESC);

-- Active projects, the latest first. The application asks for active in two ways
-- (status, archived), and for the owner under two names.
CREATE INDEX idx_projects_active_owner_id_updated_at ON projects (owner_id, updated_at DESC)
    WHERE status = 'active';
CREATE INDEX idx_projects_unarchived_user_id_updated_at ON projects (user_id, updated_at DESC)
    WHERE NOT archived;

-- Joins: what belongs to a project, in the order in which it is shown.
CREATE INDEX idx_conversations_user_id_project_id_updated_at
    ON conversations (user_id, project_id, updated_at DESC);
CREATE INDEX idx_audio_transcriptions_user_id_project_id_created_at
    ON audio_transcriptions (user_id, project_id, created_at DESC);
CREATE INDEX idx_files_user_id_project_id_created_at
    ON files (user_id, project_id, created_at DESC);
CREATE INDEX idx_knowledge_base_user_id_project_id_created_at
    ON knowledge_base (user_id, project_id, created_at DESC);

-- A project has one owner, and so have nearly all rows in it; and owner_id and
-- user_id of a project are the same. The planner takes two columns for
-- independent and multiplies what each leaves: it expects 1 row for 30, and the
-- joins above that suffer. (ANALYZE, or autovacuum, fills these.)
CREATE STATISTICS projects_owner_id_user_id_statistics (dependencies, ndistinct)
    ON owner_id, user_id FROM projects;
CREATE STATISTICS conversations_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM conversations;
CREATE STATISTICS audio_transcriptions_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM audio_transcriptions;
CREATE STATISTICS files_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM files;
CREATE STATISTICS knowledge_base_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM knowledge_base;
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('optimize-projects-FINAL.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'a017a8f5ce9a4d8b94d241a4d2d2c97e8df06f1684395cf1fe8f9c809bc4e7ac',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'optimize-projects-FINAL.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'optimize-projects-FINAL.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 5

-- 11. add-embedding-columns.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'add-embedding-columns.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['5adf596ebc1808e1b3713fa968b779886b76cdd7784ae0f9076e08e90d6adfa6']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 5adf596ebc1808e1b3713fa968b779886b76cdd7784ae0f9076e08e90d6adfa6', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- add-embedding-columns.sql
--
-- A vector for every conversation, project, file and transcription, and an
-- index that finds the nearest ones by cosine distance. The document says GIN,
-- which has no operator class for vectors; HNSW (vector 0.5) is what serves
-- ORDER BY embedding <=> $1 LIMIT n.
--
-- The new columns are NULL everywhere, and an HNSW index leaves out NULLs, so
-- building the indexes takes no time worth naming, however large the table is.

ALTER TABLE conversations ADD COLUMN embedding vector(1536);
ALTER TABLE projects ADD COLUMN embedding vector(1536);
ALTER TABLE files ADD COLUMN embedding vector(1536);
ALTER TABLE audio_transcriptions ADD COLUMN embedding vector(1536);

CREATE INDEX idx_conversations_embedding ON conversations USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_projects_embedding ON projects USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_files_embedding ON files USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_audio_transcriptions_embedding
    ON audio_transcriptions USING hnsw (embedding vector_cosine_ops);

COMMENT ON COLUMN conversations.embedding IS
    'What the conversation is about, as an embedding for search by cosine distance; NULL until it is made.';
COMMENT ON COLUMN projects.embedding IS
    'What the project is about, as an embedding for search by cosine distance; NULL until it is made.';
COMMENT ON COLUMN files.embedding IS
    'What the file is about, as an embedding for search by cosine distance; NULL until it is made.';
COMMENT ON COLUMN audio_transcriptions.embedding IS
    'What was said, as an embedding for search by cosine distance; NULL until it is made.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('add-embedding-columns.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '5adf596ebc1808e1b3713fa968b779886b76cdd7784ae0f9076e08e90d6adfa6',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'add-embedding-columns.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'add-embedding-columns.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 12. supabase-semantic-search-schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'supabase-semantic-search-schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['25346295068b86b8a0529e79f95b2af885b3969a6fb986502ad143884cb9f686']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 25346295068b86b8a0529e79f95b2af885b3969a6fb986502ad143884cb9f686', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- supabase-semantic-search-schema.sql
--
-- What embeddings were made from (semantic_search_metadata), what searches cost
-- and found (semantic_search_log), and views and functions that turn these and
-- the server's own statistics into answers: what is slow, what is not embedded
-- yet, what state the vector indexes are in, which hnsw.ef_search is right.
--
-- Triggers keep semantic_search_metadata in step with the six tables that have an
-- embedding here, for whoever writes these; a job that makes embeddings finds there
-- what is left to do. The functions that search write semantic_search_log. People
-- read their own rows of both.

CREATE TABLE semantic_search_metadata (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    source_table text NOT NULL DEFAULT 'knowledge_base',
    source_id text NOT NULL,
    embedding_model text,
    embedding_dimensions integer NOT NULL DEFAULT 1536,
    content_hash text,
    content_length integer,
    token_count integer,
    status text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    error_message text,
    embedded_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT semantic_search_metadata_pkey PRIMARY KEY (id),
    CONSTRAINT semantic_search_metadata_source_table_source_id_key UNIQUE (source_table, source_id),
    CONSTRAINT semantic_search_metadata_source_table_check CHECK (source_table IN (
        'messages', 'knowledge_base', 'conversations', 'projects', 'files', 'audio_transcriptions',
        'chatgpt_conversations', 'chatgpt_messages')),
    CONSTRAINT semantic_search_metadata_embedding_dimensions_check CHECK (embedding_dimensions > 0),
    CONSTRAINT semantic_search_metadata_content_length_check CHECK (content_length >= 0),
    CONSTRAINT semantic_search_metadata_token_count_check CHECK (token_count >= 0),
    CONSTRAINT semantic_search_metadata_status_check CHECK (status IN ('pending', 'stale', 'done', 'failed')),
    CONSTRAINT semantic_search_metadata_attempts_check CHECK (attempts >= 0)
);

-- What there is to embed. Of a message it belongs to whoever owns its conversation.
CREATE VIEW embedding_sources WITH (security_invoker = true) AS
SELECT 'messages' AS source_table, m.id AS source_id, c.user_id,
       m.embedding IS NOT NULL AS is_embedded, m.content AS content
FROM messages AS m
LEFT JOIN conversations AS c ON c.id = m.conversation_id
UNION ALL
SELECT 'knowledge_base', k.id::text, k.user_id, k.embedding IS NOT NULL, concat_ws(E'\n', k.title, k.content)
FROM knowledge_base AS k
UNION ALL
SELECT 'conversations', c.id, c.user_id, c.embedding IS NOT NULL, concat_ws(E'\n', c.title, c.summary)
FROM conversations AS c
UNION ALL
SELECT 'projects', p.id, p.owner_id, p.embedding IS NOT NULL, concat_ws(E'\n', p.name, p.description)
FROM projects AS p
UNION ALL
SELECT 'files', f.id, f.user_id, f.embedding IS NOT NULL, concat_ws(E'\n', f.processed_content)
FROM files AS f
UNION ALL
SELECT 'audio_transcriptions', a.id::text, a.user_id, a.embedding IS NOT NULL, concat_ws(E'\n', a.text, a.content)
FROM audio_transcriptions AS a;
COMMENT ON VIEW embedding_sources IS
    'The rows of the tables that have an embedding: whose they are, and the text that is to be embedded.';

-- What was there before. The triggers below keep others from writing the six tables until the end of the transaction,
-- and the key keeps them from users: so this comes before them, and what changed meanwhile is put right under them.
INSERT INTO semantic_search_metadata (source_table, source_id, user_id, status)
SELECT source.source_table, source.source_id, source.user_id, CASE WHEN source.is_embedded THEN 'done' ELSE 'pending' END
FROM embedding_sources AS source
WHERE source.is_embedded OR source.content <> '';
-- Without it the planner joins by loops under the triggers, and others wait for that.
ANALYZE semantic_search_metadata;

CREATE FUNCTION note_embedding(
    of_table text,
    of_id text,
    owner text,
    former text,
    latest text,
    former_embedding vector,
    embedding vector)
RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    state text;
    hash text;
BEGIN
    latest := coalesce(latest, '');
    former := coalesce(former, '');
    IF embedding IS NULL AND latest = '' THEN
        DELETE FROM semantic_search_metadata AS known WHERE known.source_table = of_table AND known.source_id = of_id;
        RETURN;
    END IF;

    IF embedding IS DISTINCT FROM former_embedding THEN
        state := CASE WHEN embedding IS NULL THEN 'pending' ELSE 'done' END;
    ELSIF latest <> former THEN
        state := CASE WHEN former = '' AND embedding IS NULL THEN 'pending' ELSE 'stale' END;
    END IF;
    IF state IN ('done', 'stale') THEN
        hash := encode(sha256(convert_to(latest, 'UTF8')), 'hex');
    END IF;
    -- A text that is again what was embedded has its embedding.
    IF state = 'stale' AND embedding IS NOT NULL AND EXISTS (
        SELECT FROM semantic_search_metadata AS known
        WHERE known.source_table = of_table AND known.source_id = of_id AND known.content_hash = hash)
    THEN
        state := 'done';
    END IF;

    IF state IS NULL THEN
        UPDATE semantic_search_metadata AS known SET user_id = owner
        WHERE known.source_table = of_table AND known.source_id = of_id AND known.user_id IS DISTINCT FROM owner;
    ELSE
        INSERT INTO semantic_search_metadata AS known
            (source_table, source_id, user_id, status, content_hash, content_length, embedding_dimensions, embedded_at)
        VALUES (of_table, of_id, owner, state,
                CASE state WHEN 'done' THEN hash END,
                CASE state WHEN 'done' THEN length(latest) END,
                coalesce(vector_dims(embedding), 1536),
                CASE state WHEN 'done' THEN now() END)
        ON CONFLICT (source_table, source_id) DO UPDATE SET
            user_id = excluded.user_id,
            status = excluded.status,
            -- Of a stale row they are those of the text that is embedded.
            content_hash = CASE state WHEN 'stale' THEN known.content_hash ELSE excluded.content_hash END,
            content_length = CASE state WHEN 'stale' THEN known.content_length ELSE excluded.content_length END,
            embedding_dimensions = excluded.embedding_dimensions,
            embedded_at = CASE WHEN state = 'stale' OR embedding IS NOT DISTINCT FROM former_embedding
                               THEN known.embedded_at ELSE excluded.embedded_at END,
            attempts = CASE state WHEN 'done' THEN known.attempts ELSE 0 END,
            error_message = NULL;
    END IF;
END
$$;
COMMENT ON FUNCTION note_embedding(text, text, text, text, text, vector, vector) IS
    'Keeps the row of semantic_search_metadata for a row that was inserted or changed. A text that comes is pending, one '
    'that changes stale, an embedding that is written done; what has neither text nor embedding has no row.';

-- With the rights of its owner, since people write these tables, and only read their own rows of the metadata.
CREATE FUNCTION track_embedding() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    former text;
    latest text;
    owner text;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM semantic_search_metadata AS known WHERE known.source_table = TG_TABLE_NAME;
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM semantic_search_metadata AS known
        WHERE known.source_table = TG_TABLE_NAME AND known.source_id = OLD.id::text;
        RETURN NULL;
    END IF;
    -- As embedding_sources has it. Of an INSERT, OLD has nothing but NULL.
    IF TG_TABLE_NAME = 'messages' THEN
        latest := NEW.content;
        former := OLD.content;
        owner := (SELECT c.user_id FROM conversations AS c WHERE c.id = NEW.conversation_id);
    ELSIF TG_TABLE_NAME = 'conversations' THEN
        latest := concat_ws(E'\n', NEW.title, NEW.summary);
        former := concat_ws(E'\n', OLD.title, OLD.summary);
        owner := NEW.user_id;
        IF TG_OP = 'UPDATE' AND NEW.user_id IS DISTINCT FROM OLD.user_id THEN
            UPDATE semantic_search_metadata AS known SET user_id = NEW.user_id
            FROM messages AS m
            WHERE m.conversation_id = NEW.id AND known.source_table = 'messages' AND known.source_id = m.id;
        END IF;
    ELSIF TG_TABLE_NAME = 'projects' THEN
        latest := concat_ws(E'\n', NEW.name, NEW.description);
        former := concat_ws(E'\n', OLD.name, OLD.description);
        owner := NEW.owner_id;
    ELSIF TG_TABLE_NAME = 'files' THEN
        latest := NEW.processed_content;
        former := OLD.processed_content;
        owner := NEW.user_id;
    ELSIF TG_TABLE_NAME = 'audio_transcriptions' THEN
        latest := concat_ws(E'\n', NEW.text, NEW.content);
        former := concat_ws(E'\n', OLD.text, OLD.content);
        owner := NEW.user_id;
    ELSE
        latest := concat_ws(E'\n', NEW.title, NEW.content);
        former := concat_ws(E'\n', OLD.title, OLD.content);
        owner := NEW.user_id;
    END IF;
    PERFORM note_embedding(TG_TABLE_NAME, NEW.id::text, owner, former, latest, OLD.embedding, NEW.embedding);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION track_embedding() IS
    'Trigger: keeps semantic_search_metadata by note_embedding(); what is deleted has no row.';

CREATE TRIGGER messages_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF conversation_id, content, embedding ON messages
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER messages_track_embedding_truncate AFTER TRUNCATE ON messages
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER knowledge_base_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, title, content, embedding ON knowledge_base
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER knowledge_base_track_embedding_truncate AFTER TRUNCATE ON knowledge_base
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER conversations_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, title, summary, embedding ON conversations
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER conversations_track_embedding_truncate AFTER TRUNCATE ON conversations
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER projects_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF owner_id, user_id, name, description, embedding ON projects
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER projects_track_embedding_truncate AFTER TRUNCATE ON projects
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER files_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, processed_content, embedding ON files
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER files_track_embedding_truncate AFTER TRUNCATE ON files
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();
CREATE TRIGGER audio_transcriptions_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, text, content, embedding ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION track_embedding();
CREATE TRIGGER audio_transcriptions_track_embedding_truncate AFTER TRUNCATE ON audio_transcriptions
    FOR EACH STATEMENT EXECUTE FUNCTION track_embedding();

DELETE FROM semantic_search_metadata AS known
WHERE NOT EXISTS (
    SELECT FROM embedding_sources AS source
    WHERE source.source_table = known.source_table AND source.source_id = known.source_id
      AND source.is_embedded = (known.status = 'done'));
INSERT INTO semantic_search_metadata (source_table, source_id, user_id, status)
SELECT source.source_table, source.source_id, source.user_id, CASE WHEN source.is_embedded THEN 'done' ELSE 'pending' END
FROM embedding_sources AS source
WHERE (source.is_embedded OR source.content <> '')
  AND NOT EXISTS (
      SELECT FROM semantic_search_metadata AS known
      WHERE known.source_table = source.source_table AND known.source_id = source.source_id);

ALTER TABLE semantic_search_metadata ADD CONSTRAINT semantic_search_metadata_user_id_fkey
    FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;

CREATE TABLE semantic_search_log (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    source_table text NOT NULL DEFAULT 'knowledge_base',
    query_text text,
    embedding_model text,
    match_threshold double precision,
    match_count integer,
    result_count integer,
    top_similarity double precision,
    ef_search integer,
    embedding_ms double precision,
    duration_ms double precision,
    error_message text,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT semantic_search_log_pkey PRIMARY KEY (id),
    CONSTRAINT semantic_search_log_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT semantic_search_log_match_threshold_check CHECK (match_threshold BETWEEN -1 AND 1),
    CONSTRAINT semantic_search_log_match_count_check CHECK (match_count >= 0),
    CONSTRAINT semantic_search_log_result_count_check CHECK (result_count >= 0),
    CONSTRAINT semantic_search_log_top_similarity_check CHECK (top_similarity BETWEEN -1 AND 1),
    CONSTRAINT semantic_search_log_ef_search_check CHECK (ef_search > 0),
    CONSTRAINT semantic_search_log_embedding_ms_check CHECK (embedding_ms >= 0),
    CONSTRAINT semantic_search_log_duration_ms_check CHECK (duration_ms >= 0)
);

CREATE INDEX idx_semantic_search_metadata_user_id_source_table ON semantic_search_metadata (user_id, source_table);
-- The work that is left: few rows of many.
CREATE INDEX idx_semantic_search_metadata_status_updated_at ON semantic_search_metadata (status, updated_at)
    WHERE status <> 'done';
CREATE INDEX idx_semantic_search_log_user_id_created_at ON semantic_search_log (user_id, created_at DESC);
CREATE INDEX idx_semantic_search_log_created_at ON semantic_search_log (created_at DESC);

CREATE TRIGGER semantic_search_metadata_set_updated_at
    BEFORE UPDATE ON semantic_search_metadata
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

COMMENT ON TABLE semantic_search_metadata IS
    'What each embedding was made from and whether it is still right: one row for each row that has, or shall have, '
    'an embedding. Triggers keep it for all tables but those of the ChatGPT import, for which the service writes it.';
COMMENT ON COLUMN semantic_search_metadata.user_id IS 'The owner of the embedded row.';
COMMENT ON COLUMN semantic_search_metadata.source_table IS 'The table of the embedded row.';
COMMENT ON COLUMN semantic_search_metadata.source_id IS 'The id of the embedded row, as text.';
COMMENT ON COLUMN semantic_search_metadata.embedding_model IS
    'The model that made the embedding; vectors of different models do not compare.';
COMMENT ON COLUMN semantic_search_metadata.content_hash IS
    'SHA-256 of the text that was embedded: another text now means that the embedding is stale. NULL where it is not '
    'known: for what was embedded before this table, or is not embedded.';
COMMENT ON COLUMN semantic_search_metadata.content_length IS 'Characters of the text that was embedded.';
COMMENT ON COLUMN semantic_search_metadata.token_count IS 'Tokens that the model counted.';
COMMENT ON COLUMN semantic_search_metadata.status IS
    'pending: to be made; stale: the text has changed since it came or was embedded; done: made of the present text; '
    'failed: the job that makes embeddings gave up, see error_message.';
COMMENT ON COLUMN semantic_search_metadata.attempts IS
    'How often making the embedding of the present text was tried, as the job that makes embeddings counts.';
COMMENT ON TABLE semantic_search_log IS
    'Search performance: one row for each search, written by the function that searches. It goes with the person, '
    'because query_text is personal.';
COMMENT ON COLUMN semantic_search_log.user_id IS 'The person who searched.';
COMMENT ON COLUMN semantic_search_log.source_table IS 'The table that was searched, or all.';
COMMENT ON COLUMN semantic_search_log.match_threshold IS 'The least cosine similarity that was asked for.';
COMMENT ON COLUMN semantic_search_log.match_count IS 'The most rows that were asked for.';
COMMENT ON COLUMN semantic_search_log.result_count IS 'The rows that were found; NULL where the search failed.';
COMMENT ON COLUMN semantic_search_log.top_similarity IS 'The cosine similarity of the best row.';
COMMENT ON COLUMN semantic_search_log.ef_search IS 'hnsw.ef_search while the search ran.';
COMMENT ON COLUMN semantic_search_log.embedding_ms IS 'Milliseconds until the embedding of the query was there.';
COMMENT ON COLUMN semantic_search_log.duration_ms IS
    'Milliseconds of the search in the database, without embedding_ms.';

ALTER TABLE semantic_search_metadata ENABLE ROW LEVEL SECURITY;
ALTER TABLE semantic_search_log ENABLE ROW LEVEL SECURITY;

CREATE POLICY semantic_search_metadata_owner_read ON semantic_search_metadata FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY semantic_search_log_owner_read ON semantic_search_log FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY semantic_search_log_owner_insert ON semantic_search_log FOR INSERT
    WITH CHECK (user_id = (SELECT requesting_user_id()));

CREATE VIEW semantic_search_performance WITH (security_invoker = true) AS
SELECT (log.created_at AT TIME ZONE 'UTC')::date AS day,
       log.source_table,
       count(*) AS searches,
       count(*) FILTER (WHERE log.error_message IS NOT NULL) AS failed,
       count(*) FILTER (WHERE log.result_count = 0) AS empty,
       avg(log.result_count)::double precision AS average_results,
       avg(log.top_similarity) AS average_top_similarity,
       avg(log.embedding_ms) AS average_embedding_ms,
       avg(log.duration_ms) AS average_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY log.duration_ms) AS median_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY log.duration_ms) AS p95_ms,
       max(log.duration_ms) AS max_ms
FROM semantic_search_log AS log
GROUP BY 1, 2;
COMMENT ON VIEW semantic_search_performance IS
    'For each day (UTC) and table: how many searches, how many found nothing or failed, and how long they took.';

CREATE VIEW embedding_coverage WITH (security_invoker = true) AS
SELECT tab.source_table,
       count(source.source_id) AS total_rows,
       count(*) FILTER (WHERE source.is_embedded) AS embedded_rows,
       count(*) FILTER (WHERE NOT source.is_embedded) AS missing_rows,
       count(*) FILTER (WHERE source.is_embedded AND meta.status = 'stale') AS stale_rows,
       count(*) FILTER (WHERE meta.status = 'failed') AS failed_rows
FROM (VALUES ('messages'), ('knowledge_base'), ('conversations'), ('projects'), ('files'), ('audio_transcriptions'))
    AS tab (source_table)
LEFT JOIN embedding_sources AS source ON source.source_table = tab.source_table
LEFT JOIN semantic_search_metadata AS meta
    ON meta.source_table = source.source_table AND meta.source_id = source.source_id AND meta.status <> 'done'
GROUP BY tab.source_table;
COMMENT ON VIEW embedding_coverage IS
    'For each table that is searched by meaning: how many of its rows have an embedding, how many of those are stale, '
    'and how many rows have failed. Reads the tables whole.';

CREATE FUNCTION log_semantic_search(
    searched text,
    person text,
    searched_for text,
    least_similarity double precision,
    most_rows integer,
    found_rows integer,
    best_similarity double precision,
    started timestamptz,
    more jsonb DEFAULT '{}')
RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    who text := (SELECT u.id FROM users AS u WHERE u.id = coalesce(requesting_user_id(), person));
BEGIN
    -- A search is answered where nothing can be written, too: on a standby, and for a role that may only read.
    IF current_setting('transaction_read_only')::boolean
        OR NOT has_table_privilege('semantic_search_log', 'INSERT')
        OR (who IS NULL AND row_security_active('semantic_search_log'))
    THEN
        RETURN;
    END IF;
    INSERT INTO semantic_search_log (user_id, source_table, query_text, match_threshold, match_count, result_count,
                                     top_similarity, ef_search, duration_ms, metadata)
    VALUES (who, searched, searched_for, least_similarity, most_rows, found_rows, best_similarity,
            greatest(nullif(current_setting('hnsw.ef_search', true), '')::integer, most_rows),
            1000 * extract(epoch FROM clock_timestamp() - started), more);
END
$$;
COMMENT ON FUNCTION log_semantic_search(
    text, text, text, double precision, integer, integer, double precision, timestamptz, jsonb) IS
    'Writes a search to semantic_search_log, for the caller or else for the person that is named, if they are known.';

CREATE FUNCTION slow_semantic_searches(
    minimum_ms double precision DEFAULT 200,
    since interval DEFAULT '7 days',
    max_rows integer DEFAULT 50)
RETURNS TABLE (
    source_table text,
    match_count integer,
    ef_search integer,
    searches bigint,
    slow_searches bigint,
    slow_share double precision,
    median_ms double precision,
    p95_ms double precision,
    max_ms double precision,
    average_results double precision,
    slowest_query text,
    last_slow_at timestamptz)
LANGUAGE sql
STABLE
PARALLEL SAFE
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
    SELECT log.source_table,
           log.match_count,
           log.ef_search,
           count(*),
           count(*) FILTER (WHERE log.duration_ms >= minimum_ms),
           (count(*) FILTER (WHERE log.duration_ms >= minimum_ms))::double precision / count(*),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY log.duration_ms),
           percentile_cont(0.95) WITHIN GROUP (ORDER BY log.duration_ms),
           max(log.duration_ms),
           avg(log.result_count)::double precision,
           (array_agg(log.query_text ORDER BY log.duration_ms DESC NULLS LAST))[1],
           max(log.created_at) FILTER (WHERE log.duration_ms >= minimum_ms)
    FROM semantic_search_log AS log
    WHERE log.created_at >= now() - since
    GROUP BY log.source_table, log.match_count, log.ef_search
    HAVING count(*) FILTER (WHERE log.duration_ms >= minimum_ms) > 0
    ORDER BY count(*) FILTER (WHERE log.duration_ms >= minimum_ms) DESC, max(log.duration_ms) DESC
    LIMIT max_rows
$function$;
COMMENT ON FUNCTION slow_semantic_searches(double precision, interval, integer) IS
    'The kinds of search (table, match_count, ef_search) of which some took minimum_ms or longer since then, the '
    'worst first; people see their own.';

CREATE FUNCTION vector_index_health()
RETURNS TABLE (
    table_name text,
    index_name text,
    method text,
    valid boolean,
    size_bytes bigint,
    scans bigint,
    live_rows bigint,
    dead_rows bigint,
    advice text)
LANGUAGE sql
STABLE
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
    SELECT tab.relname::text,
           idx.relname::text,
           am.amname::text,
           ind.indisvalid AND ind.indisready,
           pg_relation_size(idx.oid),
           pg_stat_get_numscans(idx.oid),
           rows.live,
           rows.dead,
           CASE
               WHEN NOT (ind.indisvalid AND ind.indisready)
                   THEN format('not valid, so not used: REINDEX INDEX CONCURRENTLY %I', idx.relname)
               WHEN rows.dead > 1000 AND rows.dead > rows.live / 5
                   THEN format('many dead rows, which every search wades through: VACUUM %I', tab.relname)
               WHEN rows.live > 1000
                       AND coalesce(pg_stat_get_last_analyze_time(tab.oid), pg_stat_get_last_autoanalyze_time(tab.oid)) IS NULL
                   THEN format('the planner has no statistics: ANALYZE %I', tab.relname)
               WHEN pg_relation_size(idx.oid) > pg_size_bytes(current_setting('shared_buffers'))
                   THEN 'larger than shared_buffers: searches read from disk'
               WHEN pg_stat_get_numscans(idx.oid) = 0 AND rows.live > 10000
                   THEN 'not used since the statistics were reset: look at the queries with EXPLAIN'
               ELSE 'none'
           END
    FROM pg_catalog.pg_index AS ind
    JOIN pg_catalog.pg_class AS idx ON idx.oid = ind.indexrelid
    JOIN pg_catalog.pg_class AS tab ON tab.oid = ind.indrelid
    JOIN pg_catalog.pg_am AS am ON am.oid = idx.relam
    CROSS JOIN LATERAL (SELECT pg_stat_get_live_tuples(tab.oid), pg_stat_get_dead_tuples(tab.oid)) AS rows (live, dead)
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND am.amname IN ('hnsw', 'ivfflat')
    ORDER BY pg_relation_size(idx.oid) DESC, idx.relname
$function$;
COMMENT ON FUNCTION vector_index_health() IS
    'Every vector index of this schema: its size, its use, the dead rows of its table, and what to do about it, if '
    'anything.';

-- Measures, on rows of knowledge_base taken at random, how many of the true
-- nearest neighbours (found by an exact scan) the index finds with each
-- hnsw.ef_search. The parameters of vector can be set only once the library is
-- loaded, so the body does that; those of the planner stand in the header, so
-- that the server undoes what the body changes in them.
CREATE FUNCTION recommend_ef_search(
    target_recall double precision DEFAULT 0.95,
    match_count integer DEFAULT 10,
    sample_size integer DEFAULT 20)
RETURNS TABLE (
    ef_search integer,
    recall double precision,
    average_ms double precision,
    recommended boolean)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET enable_seqscan = on
SET enable_bitmapscan = on
AS $function$
DECLARE
    candidates integer[] := ARRAY[40, 60, 80, 100, 150, 200, 300, 400, 600, 800, 1000];
    hits bigint[];
    wanted bigint := 0;
    spent double precision[];
    sample record;
    farthest double precision;
    neighbours bigint;
    hit bigint;
    sampled integer := 0;
    started timestamptz;
    former_iterative_scan text;
    former_ef_search text;
BEGIN
    IF target_recall IS NULL OR target_recall NOT BETWEEN 0 AND 1 THEN
        RAISE EXCEPTION 'target_recall must be between 0 and 1' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF match_count IS NULL OR match_count NOT BETWEEN 1 AND 500 THEN
        RAISE EXCEPTION 'match_count must be between 1 and 500' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF sample_size IS NULL OR sample_size NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'sample_size must be between 1 and 1000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- An index scan gives ef_search rows at most.
    candidates := ARRAY(SELECT c FROM unnest(candidates) AS c WHERE c > match_count ORDER BY c);
    hits := array_fill(0::bigint, ARRAY[cardinality(candidates)]);
    spent := array_fill(0::double precision, ARRAY[cardinality(candidates)]);

    PERFORM vector_dims('[1]'::vector);  -- loads the library
    former_iterative_scan := current_setting('hnsw.iterative_scan', true);
    former_ef_search := current_setting('hnsw.ef_search', true);
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', 'off', true);
    END IF;

    FOR sample IN
        SELECT entry.id, entry.embedding
        FROM knowledge_base AS entry
        WHERE entry.id IN (SELECT pick.id FROM knowledge_base AS pick WHERE pick.embedding IS NOT NULL ORDER BY random() LIMIT sample_size)
    LOOP
        -- The row is its own nearest neighbour, which proves nothing: one more is
        -- asked for, and it is left out. "+ 0" is an order that the index cannot give.
        PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true);
        SELECT count(*), max(near.distance)
        INTO neighbours, farthest
        FROM (
            SELECT entry.id, entry.embedding <=> sample.embedding AS distance
            FROM knowledge_base AS entry
            WHERE entry.embedding IS NOT NULL
            ORDER BY (entry.embedding <=> sample.embedding) + 0
            LIMIT match_count + 1
        ) AS near
        WHERE near.id <> sample.id;
        sampled := sampled + 1;
        wanted := wanted + neighbours;

        PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true);
        FOR i IN 1 .. cardinality(candidates) LOOP
            PERFORM set_config('hnsw.ef_search', candidates[i]::text, true);
            started := clock_timestamp();
            -- By distance, not by id: rows with one distance are equally right.
            SELECT count(*) FILTER (WHERE near.distance <= farthest)
            INTO hit
            FROM (
                SELECT entry.id, entry.embedding <=> sample.embedding AS distance
                FROM knowledge_base AS entry
                WHERE entry.embedding IS NOT NULL
                ORDER BY entry.embedding <=> sample.embedding
                LIMIT match_count + 1
            ) AS near
            WHERE near.id <> sample.id;
            spent[i] := spent[i] + 1000 * extract(epoch FROM clock_timestamp() - started);
            hits[i] := hits[i] + least(hit, neighbours);
        END LOOP;
    END LOOP;

    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', former_iterative_scan, true);
    END IF;
    PERFORM set_config('hnsw.ef_search', former_ef_search, true);

    RETURN QUERY
        SELECT measured.ef, measured.share, measured.ms,
               measured.share >= target_recall
                   AND measured.ef = min(measured.ef) FILTER (WHERE measured.share >= target_recall) OVER ()
        FROM (
            SELECT each.ef, each.hits::double precision / nullif(wanted, 0) AS share, each.ms / nullif(sampled, 0) AS ms
            FROM unnest(candidates, hits, spent) AS each (ef, hits, ms)
        ) AS measured
        ORDER BY measured.ef;
END
$function$;
COMMENT ON FUNCTION recommend_ef_search(double precision, integer, integer) IS
    'Measures the recall of the index on knowledge_base.embedding for several values of hnsw.ef_search and marks the '
    'least that reaches target_recall. recall is NULL where there is nothing to measure. It scans knowledge_base '
    'once for each of sample_size rows: for an operator, not for every request.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People read what is theirs, and their searches are logged; the service writes, and measures.
GRANT SELECT
    ON semantic_search_metadata, semantic_search_log, semantic_search_performance, embedding_sources, embedding_coverage
    TO authenticated, service_role;
GRANT INSERT ON semantic_search_log TO authenticated;
GRANT EXECUTE ON FUNCTION log_semantic_search(
    text, text, text, double precision, integer, integer, double precision, timestamptz, jsonb)
    TO authenticated, service_role;
GRANT INSERT, UPDATE, DELETE ON semantic_search_metadata, semantic_search_log TO service_role;
GRANT USAGE, SELECT ON SEQUENCE semantic_search_log_id_seq TO service_role;
GRANT EXECUTE ON FUNCTION slow_semantic_searches(double precision, interval, integer) TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION vector_index_health(), recommend_ef_search(double precision, integer, integer)
    TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('supabase-semantic-search-schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '25346295068b86b8a0529e79f95b2af885b3969a6fb986502ad143884cb9f686',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'supabase-semantic-search-schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'supabase-semantic-search-schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 13. create-semantic-search-function.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'create-semantic-search-function.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['45c2927103eb48db28a5d86a760b2387dbfe37fe6b26c95fd4738882cf0eb1f8']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 45c2927103eb48db28a5d86a760b2387dbfe37fe6b26c95fd4738882cf0eb1f8', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- create-semantic-search-function.sql
--
-- search_knowledge_base(query_embedding, match_threshold, match_count): the
-- entries of knowledge_base nearest to an embedding by cosine similarity,
-- ranked, with scores. It also takes what the application names in its calls.
-- search_all_content() searches messages, conversations, files, transcriptions
-- and knowledge at once.
--
-- Both find what row level security lets the caller see. The service sees all:
-- where a person is named, nothing but what is theirs is found.

-- Columns that other migrations add are looked for: a search works without them.
CREATE FUNCTION project_of_content(kind text) RETURNS text
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $function$
    SELECT CASE
        WHEN kind = 'message' AND has_column('conversations', 'project_id')
            THEN 'coalesce(entry.project_id, (SELECT c.project_id FROM conversations AS c WHERE c.id = entry.conversation_id))'
        WHEN kind = 'conversation' AND NOT has_column('conversations', 'project_id')
            OR kind = 'transcription' AND NOT has_column('audio_transcriptions', 'project_id')
            THEN 'NULL::text'
        ELSE 'entry.project_id' END
$function$;
COMMENT ON FUNCTION project_of_content(text) IS
    'The expression for the project of an entry of one kind of content: of a message that names none, its conversation''s.';

-- The ids of the nearest rows of one table.
--
-- An HNSW index gives its nearest hnsw.ef_search rows (40), and row level
-- security and conditions filter afterwards: of a person who owns 1 % of the
-- rows nothing may be left. Two things mend that:
--   1. vector 0.8 and later can scan the index on until enough rows passed
--      (hnsw.iterative_scan). The parameter exists only once the library is
--      loaded and not at all before 0.8, and CREATE FUNCTION ... SET would need
--      a privilege for it in a session that has not loaded the library yet; so
--      the body sets it, for its own duration.
--   2. Where the index still gave fewer rows than asked for (vector before 0.8,
--      or hnsw.max_scan_tuples reached), the rows are sorted without it. Then
--      they are few against the whole table, and the index on user_id finds them.
--
-- The conditions are put together for each call, so that the server plans for
-- what is asked.
CREATE FUNCTION nearest_content(
    kind text,
    query_embedding vector,
    match_threshold double precision,
    match_count integer,
    person text,
    project text)
RETURNS TABLE (id text, distance double precision)
LANGUAGE plpgsql
STABLE
SECURITY INVOKER
ROWS 10
SET search_path FROM CURRENT
AS $function$
DECLARE
    max_count CONSTANT integer := 1000;  -- the most that hnsw.ef_search can be
    searched text := CASE kind
        WHEN 'message' THEN 'messages'
        WHEN 'conversation' THEN 'conversations'
        WHEN 'file' THEN 'files'
        WHEN 'transcription' THEN 'audio_transcriptions'
        WHEN 'knowledge' THEN 'knowledge_base' END;
    condition text := 'entry.embedding IS NOT NULL';
    tag text;
    query text;
    former_iterative_scan text;
    former_ef_search text;
    ids text[];
    distances double precision[];
BEGIN
    IF searched IS NULL THEN
        RAISE EXCEPTION 'kind must be conversation, file, knowledge, message or transcription'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF query_embedding IS NULL THEN
        RAISE EXCEPTION 'query_embedding is null'
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = 'Pass the embedding of the text that is searched for.';
    END IF;
    -- From here on the library is loaded: this is the first call into it.
    IF vector_dims(query_embedding) <> 1536 THEN
        RAISE EXCEPTION 'query_embedding has % dimensions, the stored embeddings have 1536', vector_dims(query_embedding)
            USING ERRCODE = 'data_exception',
                  HINT = 'Use the model that made the stored embeddings.';
    END IF;
    IF vector_norm(query_embedding) = 0 THEN
        RAISE EXCEPTION 'query_embedding is all zeros: it has no direction to compare'
            USING ERRCODE = 'data_exception';
    END IF;
    IF match_threshold IS NULL OR match_threshold NOT BETWEEN -1 AND 1 THEN
        RAISE EXCEPTION 'match_threshold must be between -1 and 1, not %', match_threshold
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF match_count IS NULL OR match_count NOT BETWEEN 1 AND max_count THEN
        RAISE EXCEPTION 'match_count must be between 1 and %, not %', max_count, match_count
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF kind IN ('knowledge', 'transcription') THEN
        condition := condition || ' AND entry.is_active IS NOT FALSE';
    END IF;
    IF person IS NOT NULL THEN
        -- A message belongs to whoever owns its conversation.
        condition := condition || CASE kind
            WHEN 'message' THEN ' AND entry.conversation_id = ANY (ARRAY(SELECT c.id FROM conversations AS c WHERE c.user_id = $3))'
            ELSE ' AND entry.user_id = $3' END;
    END IF;
    IF project IS NOT NULL THEN
        tag := CASE WHEN kind = 'transcription' AND has_column('audio_transcriptions', 'project_tag')
                    THEN 'entry.project_tag' ELSE 'NULL::text' END;
        -- 'general' is what is in no project, unless a project has that id.
        condition := condition || format(
            CASE WHEN project = 'general' AND NOT EXISTS (SELECT FROM projects AS p WHERE p.id = project)
                 THEN ' AND coalesce(%s, %s, $4) = $4'
                 ELSE ' AND coalesce(%s, %s) = $4' END,
            project_of_content(kind), tag);
    END IF;

    former_iterative_scan := current_setting('hnsw.iterative_scan', true);
    former_ef_search := current_setting('hnsw.ef_search', true);
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', 'strict_order', true);
    END IF;
    IF former_ef_search::integer < match_count THEN
        PERFORM set_config('hnsw.ef_search', match_count::text, true);
    END IF;

    -- The threshold is not in the inner query: there it would make the index go
    -- on looking for rows that cannot come any more.
    query := 'SELECT array_agg(near.id), array_agg(near.distance) FROM ('
        'SELECT entry.id::text AS id, entry.embedding <=> $1 AS distance FROM %I AS entry WHERE %s '
        'ORDER BY (entry.embedding <=> $1)%s LIMIT $2) AS near';
    EXECUTE format(query, searched, condition, '')
        INTO ids, distances USING query_embedding, match_count, person, project;
    -- Too few, and the farthest would still pass: there may be more. "+ 0" is an
    -- order that the vector index cannot give.
    IF coalesce(cardinality(ids), 0) < match_count
        AND coalesce((SELECT max(d) FROM unnest(distances) AS d), 0) <= 1 - match_threshold
    THEN
        EXECUTE format(query, searched, condition, ' + 0')
            INTO ids, distances USING query_embedding, match_count, person, project;
    END IF;

    -- An error before this line undoes these by itself, with its transaction.
    IF former_iterative_scan IS NOT NULL THEN
        PERFORM set_config('hnsw.iterative_scan', former_iterative_scan, true);
    END IF;
    IF former_ef_search::integer < match_count THEN
        PERFORM set_config('hnsw.ef_search', former_ef_search, true);
    END IF;

    -- By distance: 1 - 0.9 is less than 0.1. The distance of an embedding that is all zeros is NaN, and passes never.
    RETURN QUERY
        SELECT near.id, near.distance
        FROM unnest(ids, distances) AS near (id, distance)
        WHERE near.distance <= 1 - match_threshold;
END
$function$;
COMMENT ON FUNCTION nearest_content(text, vector, double precision, integer, text, text) IS
    'The rows of one kind of content nearest to query_embedding that the caller may see, of a person and a project '
    'where these are named: at most match_count, of at least match_threshold.';

CREATE FUNCTION search_knowledge_base(
    query_embedding vector,
    match_threshold double precision DEFAULT NULL,
    match_count integer DEFAULT NULL,
    query_text text DEFAULT NULL,
    user_id_param text DEFAULT NULL,
    project_id_param text DEFAULT NULL,
    similarity_threshold double precision DEFAULT NULL,
    p_user_id text DEFAULT NULL)
RETURNS TABLE (
    id uuid,
    user_id text,
    project_id text,
    source_type text,
    source_id text,
    file_id text,
    category text,
    title text,
    content text,
    tags text[],
    importance double precision,
    metadata jsonb,
    created_at timestamptz,
    similarity double precision,
    rank integer)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
ROWS 10
SET search_path FROM CURRENT
AS $function$
DECLARE
    started CONSTANT timestamptz := clock_timestamp();
    person CONSTANT text := coalesce(user_id_param, p_user_id);
    -- The application's call with p_user_id names no threshold, and counts on the lower one.
    lowest CONSTANT double precision := coalesce(
        match_threshold, similarity_threshold, CASE WHEN p_user_id IS NULL THEN 0.5 ELSE 0.3 END);
    wanted CONSTANT integer := coalesce(match_count, 10);
    ids uuid[];
    distances double precision[];
BEGIN
    IF user_id_param <> p_user_id OR match_threshold <> similarity_threshold THEN
        RAISE EXCEPTION 'user_id_param and p_user_id, and match_threshold and similarity_threshold, are one thing each and were given different values'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT array_agg(near.id ORDER BY near.distance, near.id), array_agg(near.distance ORDER BY near.distance, near.id)
    INTO ids, distances
    FROM nearest_content('knowledge', query_embedding, lowest, wanted, person, project_id_param) AS near;
    PERFORM log_semantic_search(
        'knowledge_base', person, query_text, lowest, wanted, coalesce(cardinality(ids), 0), 1 - distances[1], started,
        jsonb_strip_nulls(jsonb_build_object('project_id', project_id_param)));
    RETURN QUERY EXECUTE format(
        'SELECT entry.id, entry.user_id, entry.project_id, entry.source_type, entry.source_id, %s, entry.category, '
        'entry.title, entry.content, entry.tags, entry.importance, entry.metadata, entry.created_at, '
        '1 - near.distance, near.rank::integer '
        'FROM unnest($1, $2) WITH ORDINALITY AS near (id, distance, rank) '
        'JOIN knowledge_base AS entry ON entry.id = near.id ORDER BY near.rank',
        CASE WHEN has_column('knowledge_base', 'file_id') THEN 'entry.file_id::text' ELSE 'NULL::text' END)
        USING ids, distances;
END
$function$;
COMMENT ON FUNCTION search_knowledge_base(
    vector, double precision, integer, text, text, text, double precision, text) IS
    'The active entries of knowledge_base nearest to query_embedding that the caller may see: similarity is the cosine '
    'similarity (1 is the same direction), at least match_threshold (0.5); rank counts from 1; at most match_count rows '
    '(10; 1 to 1000). user_id_param or p_user_id finds the entries of one person alone, project_id_param those of one '
    'project; similarity_threshold is match_threshold; query_text is for the log.';

CREATE FUNCTION search_all_content(
    query_embedding vector,
    p_user_id text,
    match_threshold double precision DEFAULT 0.7,
    match_count integer DEFAULT 20,
    p_project_id text DEFAULT NULL,
    p_content_types text[] DEFAULT NULL)
RETURNS TABLE (
    id text,
    kind text,
    content_type text,
    title text,
    content text,
    source_id text,
    project_id text,
    created_at timestamptz,
    metadata jsonb,
    similarity double precision,
    rank integer)
LANGUAGE plpgsql
VOLATILE
SECURITY INVOKER
ROWS 20
SET search_path FROM CURRENT
AS $function$
DECLARE
    started CONSTANT timestamptz := clock_timestamp();
    lowest CONSTANT double precision := coalesce(match_threshold, 0.7);
    wanted CONSTANT integer := coalesce(match_count, 20);
    kinds text[];
    ids text[];
    distances double precision[];
BEGIN
    SELECT array_agg(best.kind ORDER BY best.distance, best.kind, best.id),
           array_agg(best.id ORDER BY best.distance, best.kind, best.id),
           array_agg(best.distance ORDER BY best.distance, best.kind, best.id)
    INTO kinds, ids, distances
    FROM (
        SELECT known.kind, near.id, near.distance
        FROM (VALUES
            ('conversation', '{conversation,conversations}'::text[]),
            ('file', '{file,files}'),
            ('knowledge', '{knowledge,knowledge_base}'),
            ('message', '{message,messages}'),
            ('transcription', '{transcription,transcriptions,transcript,transcripts,audio,audio_transcriptions}')
        ) AS known (kind, names)
        CROSS JOIN LATERAL nearest_content(
            known.kind, query_embedding, lowest, wanted, p_user_id, p_project_id) AS near
        WHERE p_content_types IS NULL OR known.names && p_content_types
        ORDER BY near.distance, known.kind, near.id
        LIMIT wanted
    ) AS best;
    PERFORM log_semantic_search(
        'all', p_user_id, NULL, lowest, wanted, coalesce(cardinality(ids), 0), 1 - distances[1], started,
        jsonb_strip_nulls(jsonb_build_object('project_id', p_project_id, 'content_types', to_jsonb(p_content_types))));
    RETURN QUERY EXECUTE format(
        'SELECT near.id, near.kind, near.kind, entry.title, entry.content, entry.source_id, entry.project_id, '
        'entry.created_at, entry.metadata, 1 - near.distance, near.rank::integer '
        'FROM unnest($1, $2, $3) WITH ORDINALITY AS near (kind, id, distance, rank) '
        'CROSS JOIN LATERAL ('
        'SELECT c.title, entry.content, entry.conversation_id AS source_id, %s AS project_id, entry.created_at, entry.metadata '
        'FROM messages AS entry LEFT JOIN conversations AS c ON c.id = entry.conversation_id '
        'WHERE near.kind = ''message'' AND entry.id = near.id UNION ALL '
        'SELECT entry.title, entry.summary, entry.id, %s, entry.created_at, entry.metadata '
        'FROM conversations AS entry WHERE near.kind = ''conversation'' AND entry.id = near.id UNION ALL '
        'SELECT entry.filename, entry.processed_content, entry.id, entry.project_id, entry.created_at, entry.metadata '
        'FROM files AS entry WHERE near.kind = ''file'' AND entry.id = near.id UNION ALL '
        'SELECT entry.filename, coalesce(entry.text, entry.content), entry.file_id, %s, entry.created_at, entry.metadata '
        'FROM audio_transcriptions AS entry '
        'WHERE entry.id = CASE near.kind WHEN ''transcription'' THEN near.id::uuid END UNION ALL '
        'SELECT entry.title, entry.content, entry.source_id, entry.project_id, entry.created_at, entry.metadata '
        'FROM knowledge_base AS entry WHERE entry.id = CASE near.kind WHEN ''knowledge'' THEN near.id::uuid END'
        ') AS entry ORDER BY near.rank',
        project_of_content('message'), project_of_content('conversation'), project_of_content('transcription'))
        USING kinds, ids, distances;
END
$function$;
COMMENT ON FUNCTION search_all_content(vector, text, double precision, integer, text, text[]) IS
    'The messages, conversations, files, transcriptions and entries of knowledge_base nearest to query_embedding that '
    'the caller may see, ranked together by cosine similarity: at most match_count rows (1 to 1000) of at least '
    'match_threshold. p_user_id finds what is one person''s, p_project_id what is of one project, or transcriptions of '
    'one tag; p_content_types leaves out other kinds. kind is message, conversation, file, transcription or knowledge, '
    'and content_type the same under the application''s name.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT EXECUTE
    ON FUNCTION project_of_content(text), nearest_content(text, vector, double precision, integer, text, text),
       search_knowledge_base(vector, double precision, integer, text, text, text, double precision, text),
       search_all_content(vector, text, double precision, integer, text, text[])
    TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('create-semantic-search-function.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '45c2927103eb48db28a5d86a760b2387dbfe37fe6b26c95fd4738882cf0eb1f8',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'create-semantic-search-function.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'create-semantic-search-function.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 14. add-knowledge-base-source-id-constraint.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'add-knowledge-base-source-id-constraint.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['68007c37c0df9aa4ecc5359320ea4613d4e201ef120274492295bf809a182d5a']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 68007c37c0df9aa4ecc5359320ea4613d4e201ef120274492295bf809a182d5a', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- add-knowledge-base-source-id-constraint.sql
--
-- One source, one entry: the application upserts with ON CONFLICT (source_id).
-- Entries without a source (source_id NULL) are not limited. An empty source_id
-- is refused, because every upsert without an id would overwrite the same row.
--
-- Rows that stand against the constraints stop it, and nothing is deleted or
-- merged: which of two rows is right, only a person knows.
ALTER TABLE knowledge_base
    ADD CONSTRAINT knowledge_base_source_id_key UNIQUE (source_id),
    ADD CONSTRAINT knowledge_base_source_id_check CHECK (source_id <> ''),
    ADD CONSTRAINT knowledge_base_source_type_check CHECK (source_type <> '');

COMMENT ON CONSTRAINT knowledge_base_source_id_key ON knowledge_base IS
    'One source, one entry: what ON CONFLICT (source_id) needs.';
COMMENT ON CONSTRAINT knowledge_base_source_id_check ON knowledge_base IS
    'No source is NULL, never the empty text: upserts without an id would all meet in one row.';
COMMENT ON CONSTRAINT knowledge_base_source_type_check ON knowledge_base IS
    'No kind of source is NULL, never the empty text.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('add-knowledge-base-source-id-constraint.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '68007c37c0df9aa4ecc5359320ea4613d4e201ef120274492295bf809a182d5a',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'add-knowledge-base-source-id-constraint.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'add-knowledge-base-source-id-constraint.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 6

-- 15. file-registry-migration.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'file-registry-migration.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['5b3fd9c617b1a8610a6df1fffd78bbcaae1bf120f4f3fee861790efb968b648c']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 5b3fd9c617b1a8610a6df1fffd78bbcaae1bf120f4f3fee861790efb968b648c', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- Every file that a person has anywhere, with where it came from, its versions, its
-- thumbnail, and how far its processing is.

CREATE TABLE file_registry (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    file_id text,
    file_source text NOT NULL DEFAULT 'upload',
    source_id text,
    source_metadata jsonb DEFAULT '{}',
    filename text,
    mime_type text,
    file_size bigint,
    storage_path text,
    preview_url text,
    thumbnail_url text,
    thumbnail_path text,
    processed boolean NOT NULL DEFAULT false,
    processing_status text NOT NULL DEFAULT 'pending',
    processing_result jsonb,
    processing_error text,
    processing_started_at timestamptz,
    processing_completed_at timestamptz,
    knowledge_base_ids text[] DEFAULT '{}',
    tags text[] DEFAULT '{}',
    projects text[] DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    content_hash text,
    version integer NOT NULL DEFAULT 1,
    previous_version_id text,
    -- A trigger fills it in.
    first_version_id text NOT NULL,
    is_current_version boolean NOT NULL DEFAULT true,
    indexed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_registry_pkey PRIMARY KEY (id),
    CONSTRAINT file_registry_file_source_check
        CHECK (file_source IN
            ('calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload')),
    CONSTRAINT file_registry_processing_status_check
        CHECK (processing_status IN ('pending', 'processing', 'completed', 'failed')),
    CONSTRAINT file_registry_file_size_check CHECK (file_size >= 0),
    CONSTRAINT file_registry_version_check CHECK (version >= 1),
    CONSTRAINT file_registry_previous_version_id_check CHECK (previous_version_id <> id),
    CONSTRAINT file_registry_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT file_registry_file_id_fkey FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE SET NULL,
    CONSTRAINT file_registry_previous_version_id_fkey
        FOREIGN KEY (previous_version_id) REFERENCES file_registry (id) ON DELETE SET NULL
);

CREATE INDEX idx_file_registry_user_id ON file_registry (user_id, created_at DESC);
CREATE INDEX idx_file_registry_indexed_at ON file_registry (user_id, indexed_at DESC NULLS LAST);
CREATE INDEX idx_file_registry_source ON file_registry (file_source, source_id);
CREATE INDEX idx_file_registry_file_id ON file_registry (file_id);
-- A version has one next version, and a file one current version.
CREATE UNIQUE INDEX idx_file_registry_previous_version_id ON file_registry (previous_version_id);
CREATE UNIQUE INDEX idx_file_registry_current_version
    ON file_registry (user_id, first_version_id) NULLS NOT DISTINCT WHERE is_current_version;
CREATE INDEX idx_file_registry_first_version_id ON file_registry (first_version_id, version);
CREATE INDEX idx_file_registry_content_hash ON file_registry (user_id, content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX idx_file_registry_mime_type ON file_registry (user_id, mime_type);
CREATE INDEX idx_file_registry_filename ON file_registry USING gin (filename gin_trgm_ops);
CREATE INDEX idx_file_registry_tags ON file_registry USING gin (tags);
CREATE INDEX idx_file_registry_projects ON file_registry USING gin (projects);
CREATE INDEX idx_file_registry_metadata ON file_registry USING gin (metadata);
CREATE INDEX idx_file_registry_source_metadata ON file_registry USING gin (source_metadata);
-- What a worker looks for.
CREATE INDEX idx_file_registry_unprocessed ON file_registry (created_at) WHERE NOT processed;

CREATE FUNCTION file_registry_track_processing() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    was_processed constant boolean := TG_OP = 'UPDATE' AND OLD.processed;
    was_status constant text := CASE WHEN TG_OP = 'UPDATE' THEN OLD.processing_status ELSE 'pending' END;
BEGIN
    -- The application says `processed`; a worker says how far it is. What was said moves the other.
    IF NEW.processing_status IS DISTINCT FROM was_status THEN
        NEW.processed := NEW.processing_status = 'completed';
    ELSIF NEW.processed IS DISTINCT FROM was_processed THEN
        NEW.processing_status := CASE WHEN NEW.processed THEN 'completed' ELSE 'pending' END;
    END IF;
    -- The stamps are of the last time; a stamp that the statement gives is kept.
    IF NEW.processing_status <> was_status THEN
        IF NEW.processing_started_at IS NOT DISTINCT FROM OLD.processing_started_at THEN
            NEW.processing_started_at := CASE NEW.processing_status WHEN 'processing' THEN now() WHEN 'pending' THEN NULL
                                                                    ELSE NEW.processing_started_at END;
        END IF;
        IF NEW.processing_completed_at IS NOT DISTINCT FROM OLD.processing_completed_at THEN
            NEW.processing_completed_at := CASE WHEN NEW.processing_status IN ('completed', 'failed') THEN now() END;
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION file_registry_track_processing() IS
    'Trigger: keeps processed and processing_status together, and stamps start and end.';
CREATE TRIGGER file_registry_track_processing BEFORE INSERT OR UPDATE OF processed, processing_status ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_processing();

CREATE FUNCTION file_registry_next_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    before file_registry;
    other text;
BEGIN
    IF TG_OP = 'INSERT' AND NEW.previous_version_id IS NULL THEN
        NEW.first_version_id := NEW.id;
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' AND NEW.previous_version_id IS NOT DISTINCT FROM OLD.previous_version_id THEN
        NEW.first_version_id := coalesce(
            (SELECT f.first_version_id FROM file_registry AS f WHERE f.id = NEW.previous_version_id), OLD.first_version_id);
        RETURN NEW;
    ELSIF NEW.previous_version_id IS NULL THEN
        -- Its version before was deleted, or it is a file of its own from now on.
        NEW.first_version_id := CASE WHEN EXISTS (SELECT FROM file_registry AS f WHERE f.id = OLD.previous_version_id)
                                     THEN NEW.id ELSE OLD.first_version_id END;
        RETURN NEW;
    END IF;
    -- The key alone would let a person name a file of somebody else: it looks past row
    -- level security. A policy of the table cannot look at the table itself.
    -- Of two who name one version at once, the second waits here, and finds the version of the first.
    UPDATE file_registry AS f SET is_current_version = false
    WHERE f.id = NEW.previous_version_id AND f.user_id IS NOT DISTINCT FROM NEW.user_id
    RETURNING f.* INTO before;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'file_registry.previous_version_id: % is no file of the same person', NEW.previous_version_id
            USING ERRCODE = 'foreign_key_violation', TABLE = 'file_registry', COLUMN = 'previous_version_id';
    END IF;
    SELECT f.id INTO other FROM file_registry AS f WHERE f.previous_version_id = NEW.previous_version_id AND f.id <> NEW.id;
    IF FOUND THEN
        RAISE EXCEPTION 'file_registry.previous_version_id: % has a next version already, %', NEW.previous_version_id, other
            USING ERRCODE = 'unique_violation', TABLE = 'file_registry', COLUMN = 'previous_version_id',
                  HINT = 'Name the current version of the file.';
    END IF;
    IF EXISTS (
        WITH RECURSIVE older AS (
            SELECT before.id, before.previous_version_id
            UNION
            SELECT f.id, f.previous_version_id FROM file_registry AS f JOIN older ON f.id = older.previous_version_id)
        SELECT FROM older WHERE older.id = NEW.id)
    THEN
        RAISE EXCEPTION 'file_registry.previous_version_id: % is a later version of %', NEW.previous_version_id, NEW.id
            USING ERRCODE = 'check_violation', TABLE = 'file_registry', COLUMN = 'previous_version_id';
    END IF;
    NEW.version := greatest(NEW.version, before.version + 1);
    NEW.first_version_id := before.first_version_id;
    NEW.is_current_version := NOT EXISTS (SELECT FROM file_registry AS f WHERE f.previous_version_id = NEW.id);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION file_registry_next_version() IS
    'Trigger: counts a file''s versions, retires the one before, and sees that both are of one person and that it has no other next version.';
CREATE TRIGGER file_registry_next_version BEFORE INSERT OR UPDATE OF previous_version_id, first_version_id ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_next_version();

CREATE FUNCTION file_registry_follow_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE file_registry AS f
        SET first_version_id = NEW.first_version_id, version = greatest(f.version, NEW.version + 1)
        WHERE f.previous_version_id = NEW.id;
        IF NEW.first_version_id = OLD.first_version_id THEN
            RETURN NULL;
        END IF;
    END IF;
    IF OLD.is_current_version THEN
        UPDATE file_registry AS f SET is_current_version = true
        WHERE f.id = (SELECT own.id FROM file_registry AS own
                      WHERE own.first_version_id = OLD.first_version_id AND own.user_id IS NOT DISTINCT FROM OLD.user_id
                      ORDER BY own.version DESC, own.id LIMIT 1);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_registry_follow_version() IS
    'Trigger: later versions go with the one before, and where the current version goes, the latest that is left becomes current.';
CREATE TRIGGER file_registry_follow_version AFTER UPDATE OF previous_version_id, first_version_id ON file_registry
    FOR EACH ROW WHEN ((NEW.first_version_id, NEW.version) IS DISTINCT FROM (OLD.first_version_id, OLD.version))
    EXECUTE FUNCTION file_registry_follow_version();
CREATE TRIGGER file_registry_follow_deleted_version AFTER DELETE ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_follow_version();
CREATE TRIGGER file_registry_set_updated_at BEFORE UPDATE ON file_registry
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE file_registry ENABLE ROW LEVEL SECURITY;

CREATE POLICY file_registry_owner ON file_registry
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (
        user_id = (SELECT requesting_user_id())
        AND (file_id IS NULL
             OR EXISTS (SELECT FROM files AS f
                        WHERE f.id = file_registry.file_id AND f.user_id = (SELECT requesting_user_id()))));
-- A collaborator reads what the owner of a project has in it. The first condition is for the index.
CREATE POLICY file_registry_collaborator_read ON file_registry FOR SELECT
    USING (projects && (SELECT shared_projects())
        AND EXISTS (SELECT FROM projects AS p WHERE p.id = ANY (file_registry.projects) AND p.owner_id = file_registry.user_id));

COMMENT ON TABLE file_registry IS 'Every file that a person has anywhere: uploads, mails, Drive, calendars, links.';
COMMENT ON COLUMN file_registry.file_id IS 'The file of the table files, where it is one.';
COMMENT ON COLUMN file_registry.source_id IS 'Its number where it came from.';
COMMENT ON COLUMN file_registry.knowledge_base_ids IS 'The pieces of knowledge that were made of it.';
COMMENT ON COLUMN file_registry.projects IS 'The projects that it belongs to.';
COMMENT ON COLUMN file_registry.thumbnail_path IS 'Where its small picture lies in the storage.';
COMMENT ON COLUMN file_registry.content_hash IS 'The SHA-256 of its content, to find copies.';
COMMENT ON COLUMN file_registry.first_version_id IS
    'The first version of the file, which all its versions share, also when that one is gone. Kept by a trigger.';
COMMENT ON COLUMN file_registry.version IS 'Counted by a trigger along previous_version_id.';
COMMENT ON COLUMN file_registry.is_current_version IS 'False once a newer version names it as its previous one.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT, INSERT, UPDATE, DELETE ON file_registry TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('file-registry-migration.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '5b3fd9c617b1a8610a6df1fffd78bbcaae1bf120f4f3fee861790efb968b648c',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'file-registry-migration.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'file-registry-migration.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 16. file-integration-enhancement.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'file-integration-enhancement.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['0122fbd4966c9d917e41e1e6e0a0565b15f4cc506e12d44216f6a56745d1cda3']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 0122fbd4966c9d917e41e1e6e0a0565b15f4cc506e12d44216f6a56745d1cda3', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- Files and the rest: what was learnt from a file, which files belong together, and
-- where each was seen.

ALTER TABLE knowledge_base
    ADD COLUMN IF NOT EXISTS file_id text
        CONSTRAINT knowledge_base_file_id_fkey REFERENCES file_registry (id) ON DELETE CASCADE;

CREATE TABLE file_relationships (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    file_id text NOT NULL,
    related_file_id text NOT NULL,
    relationship_type text NOT NULL,
    confidence double precision NOT NULL DEFAULT 1,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_relationships_pkey PRIMARY KEY (id),
    CONSTRAINT file_relationships_pair_key UNIQUE (file_id, related_file_id, relationship_type),
    CONSTRAINT file_relationships_relationship_type_check
        CHECK (relationship_type IN ('duplicate', 'version', 'attachment', 'derived', 'related')),
    CONSTRAINT file_relationships_confidence_check CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT file_relationships_related_file_id_check CHECK (related_file_id <> file_id),
    CONSTRAINT file_relationships_file_id_fkey FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE,
    CONSTRAINT file_relationships_related_file_id_fkey
        FOREIGN KEY (related_file_id) REFERENCES file_registry (id) ON DELETE CASCADE
);

CREATE TABLE file_sources (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    file_id text NOT NULL,
    source text NOT NULL,
    source_id text,
    source_url text,
    source_metadata jsonb NOT NULL DEFAULT '{}',
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_sources_pkey PRIMARY KEY (id),
    CONSTRAINT file_sources_file_id_source_source_id_key UNIQUE NULLS NOT DISTINCT (file_id, source, source_id),
    CONSTRAINT file_sources_source_check
        CHECK (source IN ('calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload')),
    CONSTRAINT file_sources_last_seen_at_check CHECK (last_seen_at >= first_seen_at),
    CONSTRAINT file_sources_file_id_fkey FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE
);

CREATE INDEX IF NOT EXISTS idx_knowledge_base_file_id ON knowledge_base (file_id);
CREATE INDEX idx_file_relationships_related_file_id ON file_relationships (related_file_id);
CREATE INDEX idx_file_relationships_type ON file_relationships (relationship_type, file_id);
CREATE INDEX idx_file_sources_source ON file_sources (source, source_id);

CREATE VIEW duplicate_files WITH (security_invoker = true) AS
    SELECT user_id, content_hash, count(*) AS copies, min(created_at) AS first_seen_at,
           array_agg(id ORDER BY created_at, id) AS file_ids, sum(file_size) - max(file_size) AS wasted_bytes
    FROM file_registry
    WHERE content_hash IS NOT NULL AND is_current_version
    GROUP BY user_id, content_hash
    HAVING count(*) > 1;
COMMENT ON VIEW duplicate_files IS 'Files of a person whose content is the same.';

CREATE FUNCTION link_duplicate_files() RETURNS integer
    LANGUAGE sql SET search_path FROM CURRENT
AS $$
    WITH linked AS (
        INSERT INTO file_relationships (file_id, related_file_id, relationship_type)
        SELECT copy.id, d.file_ids[1], 'duplicate'
        FROM duplicate_files AS d
        CROSS JOIN LATERAL unnest(d.file_ids[2:]) AS copy (id)
        -- A collaborator sees copies of others, too, and links none of them.
        WHERE NOT row_security_active('file_registry') OR d.user_id = requesting_user_id()
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT count(*)::integer FROM linked
$$;
COMMENT ON FUNCTION link_duplicate_files() IS
    'Writes a relationship from each copy of the caller (of everybody, for the service) to the first file with its content, and returns how many were new.';

-- Files that were there before their sources were kept.
INSERT INTO file_sources (file_id, source, source_id, source_metadata, first_seen_at, last_seen_at)
SELECT id, file_source, source_id, coalesce(source_metadata, '{}'), created_at, created_at
FROM file_registry;

CREATE FUNCTION file_registry_track_source() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO file_sources (file_id, source, source_id, source_metadata)
    VALUES (NEW.id, NEW.file_source, NEW.source_id, coalesce(NEW.source_metadata, '{}'))
    ON CONFLICT (file_id, source, source_id)
        DO UPDATE SET last_seen_at = greatest(now(), file_sources.last_seen_at), source_metadata = excluded.source_metadata;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_registry_track_source() IS 'Trigger: keeps every place where a file was seen.';
CREATE TRIGGER file_registry_track_source AFTER INSERT OR UPDATE OF file_source, source_id ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_source();

-- The versions likewise.
INSERT INTO file_relationships (file_id, related_file_id, relationship_type)
SELECT id, previous_version_id, 'version'
FROM file_registry
WHERE previous_version_id IS NOT NULL;

CREATE FUNCTION file_registry_track_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM file_relationships AS pair
        WHERE pair.file_id = NEW.id AND pair.related_file_id = OLD.previous_version_id AND pair.relationship_type = 'version';
    END IF;
    IF NEW.previous_version_id IS NOT NULL THEN
        INSERT INTO file_relationships (file_id, related_file_id, relationship_type)
        VALUES (NEW.id, NEW.previous_version_id, 'version')
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_registry_track_version() IS 'Trigger: keeps the relationship of a file to its version before.';
CREATE TRIGGER file_registry_track_version AFTER INSERT OR UPDATE OF previous_version_id ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_version();

ALTER TABLE file_relationships ENABLE ROW LEVEL SECURITY;
ALTER TABLE file_sources ENABLE ROW LEVEL SECURITY;

CREATE POLICY knowledge_base_own_file ON knowledge_base AS RESTRICTIVE
    WITH CHECK (
        file_id IS NULL
        OR EXISTS (SELECT FROM file_registry AS f
                   WHERE f.id = knowledge_base.file_id AND f.user_id = (SELECT requesting_user_id())));
CREATE POLICY file_relationships_owner ON file_relationships
    USING (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id())))
    WITH CHECK (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id()))
        AND EXISTS (SELECT FROM file_registry AS f
                    WHERE f.id = file_relationships.related_file_id AND f.user_id = (SELECT requesting_user_id())));
CREATE POLICY file_sources_owner ON file_sources
    USING (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id())))
    WITH CHECK (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id())));

COMMENT ON TABLE file_relationships IS 'Files that belong together; reached through the file.';
COMMENT ON COLUMN file_relationships.related_file_id IS
    'The earlier or the greater one: the original, the version before, what it is attached to.';
COMMENT ON COLUMN file_relationships.confidence IS 'From 0 to 1.';
COMMENT ON TABLE file_sources IS
    'Every place where a file was seen: Gmail, Drive, an upload and so on; reached through the file.';
COMMENT ON COLUMN file_sources.source_id IS 'Its number there.';
COMMENT ON COLUMN knowledge_base.file_id IS 'The file that the piece was learnt from; it goes with the file.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT, INSERT, UPDATE, DELETE ON file_relationships, file_sources TO authenticated, service_role;
GRANT SELECT ON duplicate_files TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION link_duplicate_files() TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('file-integration-enhancement.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '0122fbd4966c9d917e41e1e6e0a0565b15f4cc506e12d44216f6a56745d1cda3',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'file-integration-enhancement.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'file-integration-enhancement.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 7

-- 17. notifications-table-migration.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'notifications-table-migration.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['19c9e7853bcc00b35505144fec5c4081622a776680eb441b76fecb6b37478e39']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 19c9e7853bcc00b35505144fec5c4081622a776680eb441b76fecb6b37478e39', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- What a person is told, whether they have read it, and whether a mail went out.

CREATE TABLE notifications (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    type text NOT NULL DEFAULT 'info',
    title text,
    message text,
    link text,
    priority text NOT NULL DEFAULT 'normal',
    status text NOT NULL DEFAULT 'pending',
    read boolean NOT NULL DEFAULT false,
    read_at timestamptz,
    metadata jsonb DEFAULT '{}',
    data jsonb DEFAULT '{}',
    email_sent boolean NOT NULL DEFAULT false,
    email_sent_at timestamptz,
    email_address text,
    email_error text,
    email_attempts integer NOT NULL DEFAULT 0,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notifications_pkey PRIMARY KEY (id),
    CONSTRAINT notifications_type_check CHECK (type IN ('error', 'info', 'success', 'warning')),
    CONSTRAINT notifications_priority_check CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    CONSTRAINT notifications_status_check CHECK (status IN ('pending', 'delivered', 'dismissed', 'failed')),
    CONSTRAINT notifications_email_attempts_check CHECK (email_attempts >= 0),
    CONSTRAINT notifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX idx_notifications_user_id ON notifications (user_id, created_at DESC);
CREATE INDEX idx_notifications_unread ON notifications (user_id, created_at DESC) WHERE NOT read;
-- What the job that sends mails looks for.
CREATE INDEX idx_notifications_email_pending ON notifications (created_at)
    WHERE NOT email_sent AND email_address IS NOT NULL;
CREATE INDEX idx_notifications_expires_at ON notifications (expires_at) WHERE expires_at IS NOT NULL;

CREATE FUNCTION notifications_track_reading() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT NEW.read THEN
        NEW.read_at := NULL;
    ELSIF NEW.read_at IS NULL THEN
        NEW.read_at := now();
    END IF;
    IF NEW.email_sent AND NEW.email_sent_at IS NULL THEN
        NEW.email_sent_at := now();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION notifications_track_reading() IS 'Trigger: stamps when it was read and when its mail went out.';
CREATE TRIGGER notifications_track_reading BEFORE INSERT OR UPDATE OF read, email_sent ON notifications
    FOR EACH ROW EXECUTE FUNCTION notifications_track_reading();
CREATE TRIGGER notifications_set_updated_at BEFORE UPDATE ON notifications
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;

CREATE POLICY notifications_owner ON notifications
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE notifications IS
    'What a person is told. The service writes it; the person reads, dismisses and deletes their own.';
COMMENT ON COLUMN notifications.status IS 'How its delivery stands.';
COMMENT ON COLUMN notifications.data IS 'What the application hands to its own handlers.';
COMMENT ON COLUMN notifications.email_sent IS 'Whether a mail went out, for those that have an email_address.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT, DELETE, UPDATE (read, status) ON notifications TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('notifications-table-migration.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '19c9e7853bcc00b35505144fec5c4081622a776680eb441b76fecb6b37478e39',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'notifications-table-migration.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'notifications-table-migration.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 8

-- 18. backups-table-migration.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'backups-table-migration.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['d04d6fd50e91d64650954032a39f43fdb16a6807370551037db6b5da21d2fbba']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is d04d6fd50e91d64650954032a39f43fdb16a6807370551037db6b5da21d2fbba', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- Backups that were made of a person's data, where they lie, and which can be gone back to.

CREATE TABLE backups (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    backup_type text NOT NULL DEFAULT 'automatic',
    status text NOT NULL DEFAULT 'pending',
    data_counts jsonb DEFAULT '{}',
    backup_data jsonb,
    backup_size_bytes bigint,
    total_size bigint,
    file_count integer,
    duration_seconds double precision
        GENERATED ALWAYS AS (extract(epoch FROM completed_at - started_at)::double precision) STORED,
    storage_location text,
    drive_file_id text,
    drive_file_url text,
    drive_uploaded_at timestamptz,
    error_message text,
    is_restore_point boolean NOT NULL DEFAULT false,
    restore_point_name text,
    restored_at timestamptz,
    expires_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT backups_pkey PRIMARY KEY (id),
    CONSTRAINT backups_backup_type_check CHECK (backup_type IN ('automatic', 'manual', 'scheduled')),
    CONSTRAINT backups_status_check CHECK (status IN ('completed', 'failed', 'in_progress', 'pending')),
    CONSTRAINT backups_backup_size_bytes_check CHECK (backup_size_bytes >= 0),
    CONSTRAINT backups_total_size_check CHECK (total_size >= 0),
    CONSTRAINT backups_file_count_check CHECK (file_count >= 0),
    CONSTRAINT backups_completed_at_check CHECK (completed_at >= started_at),
    CONSTRAINT backups_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX idx_backups_user_id ON backups (user_id, created_at DESC);
CREATE INDEX idx_backups_created_at ON backups (created_at DESC);
CREATE INDEX idx_backups_drive_file_id ON backups (drive_file_id) WHERE drive_file_id IS NOT NULL;
CREATE INDEX idx_backups_restore_points ON backups (user_id, completed_at DESC)
    WHERE is_restore_point AND status = 'completed';
CREATE INDEX idx_backups_expires_at ON backups (expires_at) WHERE expires_at IS NOT NULL;

CREATE VIEW restore_points WITH (security_invoker = true) AS
    SELECT id, user_id,
           coalesce(restore_point_name,
                    backup_type || ' ' || (coalesce(completed_at, created_at) AT TIME ZONE 'UTC')::date) AS name,
           completed_at, backup_type, backup_size_bytes, file_count, data_counts, drive_file_url, storage_location,
           restored_at, expires_at
    FROM backups
    WHERE is_restore_point AND status = 'completed' AND (expires_at IS NULL OR expires_at > now());
COMMENT ON VIEW restore_points IS 'Backups that a person can go back to.';

CREATE FUNCTION backups_protect_restore_points() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT SET row_security = off
AS $$
DECLARE
    point backups;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        SELECT * INTO point FROM backups AS kept
        WHERE kept.is_restore_point AND kept.status = 'completed' AND (kept.expires_at IS NULL OR kept.expires_at > now())
        LIMIT 1;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    ELSE
        point := OLD;
        IF TG_OP = 'UPDATE' AND NEW.id = OLD.id AND NEW.is_restore_point AND NEW.status = 'completed'
           AND (NEW.backup_data, NEW.storage_location, NEW.drive_file_id) IS NOT DISTINCT FROM
               (coalesce(OLD.backup_data, NEW.backup_data), coalesce(OLD.storage_location, NEW.storage_location),
                coalesce(OLD.drive_file_id, NEW.drive_file_id))
           OR (point.is_restore_point AND point.status = 'completed' AND (point.expires_at IS NULL OR point.expires_at > now())) IS NOT TRUE
        THEN
            RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END IF;
    END IF;
    RAISE EXCEPTION 'restore point % is protected until %', point.id, coalesce(point.expires_at::text, 'it is released')
        USING ERRCODE = 'restrict_violation', TABLE = 'backups', HINT = 'Wait, or end the protection with release_restore_point().';
END
$$;
COMMENT ON FUNCTION backups_protect_restore_points() IS
    'Trigger: refuses to delete a restore point that has not expired, also with its person, and to make it another thing. It may be '
    'put into a further place.';

CREATE FUNCTION make_restore_point(
    backup_id text,
    point_name text DEFAULT NULL,
    keep_until timestamptz DEFAULT now() + interval '30 days')
    RETURNS backups
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    point backups;
BEGIN
    IF keep_until <= now() THEN
        RAISE EXCEPTION 'a restore point cannot be kept until %, which is over', keep_until USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT * INTO point FROM backups AS own WHERE own.id = backup_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no backup %', backup_id USING ERRCODE = 'no_data_found';
    END IF;
    IF point.status <> 'completed' OR point.expires_at <= now() THEN
        RAISE EXCEPTION 'backup % is %: nobody can go back to it', backup_id,
                        CASE WHEN point.status = 'completed' THEN 'expired' ELSE point.status END
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    UPDATE backups AS own
    SET is_restore_point = true, restore_point_name = coalesce(nullif(btrim(point_name), ''), own.restore_point_name),
        expires_at = keep_until
    WHERE own.id = backup_id
    RETURNING * INTO point;
    RETURN point;
END
$$;
COMMENT ON FUNCTION make_restore_point(text, text, timestamptz) IS
    'Makes a completed backup a restore point, protected from deletion until that time (NULL for until it is released), and returns it. '
    'The view restore_points lists them.';

CREATE FUNCTION release_restore_point(backup_id text) RETURNS backups
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    point backups;
BEGIN
    UPDATE backups AS own SET expires_at = now()
    WHERE own.id = backup_id AND own.is_restore_point AND (own.expires_at IS NULL OR own.expires_at > now())
    RETURNING * INTO point;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no restore point %', backup_id USING ERRCODE = 'no_data_found';
    END IF;
    RETURN point;
END
$$;
COMMENT ON FUNCTION release_restore_point(text) IS
    'Ends the protection of a restore point: it is expired from now on, and can be deleted.';

CREATE FUNCTION purge_expired_backups() RETURNS integer
    LANGUAGE sql SET search_path FROM CURRENT
AS $$
    WITH purged AS (DELETE FROM backups WHERE expires_at <= now() RETURNING 1)
    SELECT count(*)::integer FROM purged
$$;
COMMENT ON FUNCTION purge_expired_backups() IS
    'Deletes the backups that have expired, and returns how many. For the service to call now and then.';

CREATE TRIGGER backups_protect_restore_points BEFORE UPDATE OR DELETE ON backups
    FOR EACH ROW WHEN (OLD.is_restore_point) EXECUTE FUNCTION backups_protect_restore_points();
CREATE TRIGGER backups_protect_restore_points_truncate BEFORE TRUNCATE ON backups
    FOR EACH STATEMENT EXECUTE FUNCTION backups_protect_restore_points();
CREATE TRIGGER backups_set_updated_at BEFORE UPDATE ON backups
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE backups ENABLE ROW LEVEL SECURITY;

CREATE POLICY backups_owner_read ON backups FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE backups IS 'Backups of a person''s data. The service writes it; the person reads their own.';
COMMENT ON COLUMN backups.data_counts IS 'How many rows of which table it holds.';
COMMENT ON COLUMN backups.backup_data IS 'The data itself, where it is small enough to stay here.';
COMMENT ON COLUMN backups.duration_seconds IS 'From started_at to completed_at.';
COMMENT ON COLUMN backups.drive_file_id IS 'The file in Google Drive that holds it.';
COMMENT ON COLUMN backups.is_restore_point IS
    'Whether it can be gone back to. Then it cannot be deleted before it expires, and neither can its person.';
COMMENT ON COLUMN backups.expires_at IS 'From when it may be deleted; of a restore point NULL means not before it is released.';
COMMENT ON COLUMN backups.restored_at IS 'When somebody last went back to it.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT ON backups TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON backups TO service_role;
GRANT SELECT ON restore_points TO authenticated, service_role;
GRANT EXECUTE
    ON FUNCTION make_restore_point(text, text, timestamptz), release_restore_point(text), purge_expired_backups()
    TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('backups-table-migration.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'd04d6fd50e91d64650954032a39f43fdb16a6807370551037db6b5da21d2fbba',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'backups-table-migration.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'backups-table-migration.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 9

-- 19. api-cost-tracking.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'api-cost-tracking.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['67344110725b7cc6b4f1aab396737ed629b8167b9ae4017b25f87dc9c5aad48e']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 67344110725b7cc6b4f1aab396737ed629b8167b9ae4017b25f87dc9c5aad48e', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- What calls of AI models cost: each call, budgets, the alerts of budgets, and prices.

CREATE TABLE api_cost_tracking (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    provider text,
    model text,
    endpoint text,
    input_tokens integer DEFAULT 0,
    output_tokens integer DEFAULT 0,
    tokens_used integer,
    cost_usd numeric(10,6) NOT NULL DEFAULT 0,
    cached boolean DEFAULT false,
    request_time_ms integer,
    metadata jsonb DEFAULT '{}',
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_cost_tracking_pkey PRIMARY KEY (id),
    CONSTRAINT api_cost_tracking_input_tokens_check CHECK (input_tokens >= 0),
    CONSTRAINT api_cost_tracking_output_tokens_check CHECK (output_tokens >= 0),
    CONSTRAINT api_cost_tracking_tokens_used_check CHECK (tokens_used >= 0),
    -- NaN is greater than any number, and no sum would lose it again.
    CONSTRAINT api_cost_tracking_cost_usd_check CHECK (cost_usd >= 0 AND cost_usd <> 'NaN'),
    CONSTRAINT api_cost_tracking_request_time_ms_check CHECK (request_time_ms >= 0),
    CONSTRAINT api_cost_tracking_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE budget_config (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    monthly_limit numeric(10,2),
    daily_limit numeric(10,2),
    hourly_limit numeric(10,2),
    hard_stop_enabled boolean NOT NULL DEFAULT false,
    alert_at_50 boolean NOT NULL DEFAULT true,
    alert_at_75 boolean NOT NULL DEFAULT true,
    alert_at_90 boolean NOT NULL DEFAULT true,
    alert_email text,
    alert_webhook text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT budget_config_pkey PRIMARY KEY (id),
    CONSTRAINT budget_config_user_id_key UNIQUE (user_id),
    CONSTRAINT budget_config_monthly_limit_check CHECK (monthly_limit >= 0 AND monthly_limit <> 'NaN'),
    CONSTRAINT budget_config_daily_limit_check CHECK (daily_limit >= 0 AND daily_limit <> 'NaN'),
    CONSTRAINT budget_config_hourly_limit_check CHECK (hourly_limit >= 0 AND hourly_limit <> 'NaN'),
    CONSTRAINT budget_config_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE budget_alerts (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    severity text NOT NULL DEFAULT 'warning',
    percent_used numeric(20,2),
    message text,
    status jsonb DEFAULT '{}',
    period text,
    period_start timestamptz,
    threshold integer,
    limit_usd numeric(10,2),
    acknowledged boolean NOT NULL DEFAULT false,
    acknowledged_at timestamptz,
    acknowledged_by text,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT budget_alerts_pkey PRIMARY KEY (id),
    CONSTRAINT budget_alerts_severity_check CHECK (severity IN ('critical', 'emergency', 'warning')),
    CONSTRAINT budget_alerts_percent_used_check CHECK (percent_used >= 0),
    CONSTRAINT budget_alerts_period_check CHECK (period IN ('hour', 'day', 'month')),
    CONSTRAINT budget_alerts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE budget_spending (
    user_id text NOT NULL,
    period text NOT NULL,
    period_start timestamptz NOT NULL,
    spent_usd numeric NOT NULL DEFAULT 0,
    CONSTRAINT budget_spending_pkey PRIMARY KEY (user_id, period, period_start),
    CONSTRAINT budget_spending_period_check CHECK (period IN ('hour', 'day', 'month')),
    CONSTRAINT budget_spending_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
)
-- Every call changes rows here. With room in the page the server prunes the old versions at once.
WITH (fillfactor = 50);

-- No transaction leaves a row here, so there is nothing to keep after a crash.
CREATE UNLOGGED TABLE budget_changes (
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id text NOT NULL,
    hour timestamptz NOT NULL,
    cost_usd numeric NOT NULL,
    CONSTRAINT budget_changes_pkey PRIMARY KEY (xact, id)
);

CREATE TABLE cost_models (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    provider text NOT NULL,
    model text NOT NULL,
    input_cost_per_million numeric(12,6) NOT NULL DEFAULT 0,
    output_cost_per_million numeric(12,6) NOT NULL DEFAULT 0,
    cached_input_cost_per_million numeric(12,6),
    context_window integer,
    valid_from timestamptz NOT NULL DEFAULT now(),
    valid_to timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT cost_models_pkey PRIMARY KEY (id),
    CONSTRAINT cost_models_provider_model_valid_from_key UNIQUE (provider, model, valid_from),
    CONSTRAINT cost_models_input_cost_per_million_check CHECK (input_cost_per_million >= 0),
    CONSTRAINT cost_models_output_cost_per_million_check CHECK (output_cost_per_million >= 0),
    CONSTRAINT cost_models_cached_input_cost_per_million_check CHECK (cached_input_cost_per_million >= 0),
    CONSTRAINT cost_models_valid_to_check CHECK (valid_to > valid_from)
);

-- The sum of a person's costs in a span of time reads this index alone.
CREATE INDEX idx_api_cost_tracking_user_id ON api_cost_tracking (user_id, "timestamp" DESC) INCLUDE (cost_usd);
CREATE INDEX idx_api_cost_tracking_timestamp ON api_cost_tracking ("timestamp" DESC);
CREATE INDEX idx_api_cost_tracking_model ON api_cost_tracking (model, "timestamp" DESC);
CREATE INDEX idx_budget_alerts_user_id ON budget_alerts (user_id, "timestamp" DESC);
-- An alert of a share of a limit stands once in its period.
CREATE UNIQUE INDEX idx_budget_alerts_once ON budget_alerts (user_id, period, period_start, threshold, limit_usd)
    WHERE threshold IS NOT NULL;
CREATE INDEX idx_cost_models_current ON cost_models (provider, model) WHERE valid_to IS NULL;

CREATE VIEW daily_costs WITH (security_invoker = true) AS
    SELECT user_id, date_trunc('day', "timestamp" AT TIME ZONE 'UTC')::date AS day, provider, model,
           count(*) AS requests, count(*) FILTER (WHERE cached) AS cached_requests,
           sum(coalesce(input_tokens, 0))::bigint AS input_tokens,
           sum(coalesce(output_tokens, 0))::bigint AS output_tokens,
           sum(cost_usd) AS cost_usd
    FROM api_cost_tracking
    GROUP BY user_id, date_trunc('day', "timestamp" AT TIME ZONE 'UTC'), provider, model;

CREATE VIEW monthly_costs WITH (security_invoker = true) AS
    SELECT user_id, date_trunc('month', "timestamp" AT TIME ZONE 'UTC')::date AS month, provider, model,
           count(*) AS requests, count(*) FILTER (WHERE cached) AS cached_requests,
           sum(coalesce(input_tokens, 0))::bigint AS input_tokens,
           sum(coalesce(output_tokens, 0))::bigint AS output_tokens,
           sum(cost_usd) AS cost_usd
    FROM api_cost_tracking
    GROUP BY user_id, date_trunc('month', "timestamp" AT TIME ZONE 'UTC'), provider, model;

-- Running totals. A statement that changes calls notes its differences, and the end of its transaction adds these to the
-- totals, in one change however many statements there were. So an alert reads a few rows, however many calls
-- there are. Where the row of a month is missing, nothing of that month counts as known, and it is counted from the calls;
-- where it stands, an hour or a day without a row has cost nothing. Hours, days and months are those of UTC, whatever
-- the session's time zone.
--
-- Of two transactions that change one person's calls, the second waits at the row of the month until the first has
-- ended, so it sees what the first one has spent and told. The trigger functions run by the rights of their owner:
-- whoever may write a call need not be able to write totals and alerts.
CREATE FUNCTION count_budget_month(of_user_id text, of_month timestamptz) RETURNS boolean
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    next_month constant timestamptz := (of_month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF EXISTS (SELECT FROM budget_spending AS s WHERE s.user_id = of_user_id AND s.period = 'month' AND s.period_start = of_month) THEN
        RETURN false;
    END IF;
    -- Waits for whoever counts the same month. A person who is being deleted needs no totals.
    INSERT INTO budget_spending (user_id, period, period_start)
    SELECT person.id, 'month', of_month FROM users AS person WHERE person.id = of_user_id
    ON CONFLICT (user_id, period, period_start) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM budget_spending AS s
    WHERE s.user_id = of_user_id AND s.period <> 'month' AND s.period_start >= of_month AND s.period_start < next_month;
    INSERT INTO budget_spending AS s (user_id, period, period_start, spent_usd)
    SELECT call.user_id, span.period, date_trunc(span.period, call."timestamp", 'UTC'), sum(call.cost_usd)
    FROM api_cost_tracking AS call
    CROSS JOIN (VALUES ('hour'), ('day'), ('month')) AS span (period)
    WHERE call.user_id = of_user_id AND call."timestamp" >= of_month AND call."timestamp" < next_month AND call.cost_usd > 0
    GROUP BY 1, 2, 3
    ON CONFLICT (user_id, period, period_start) DO UPDATE SET spent_usd = excluded.spent_usd;
    RETURN true;
END
$$;
COMMENT ON FUNCTION count_budget_month(text, timestamptz) IS
    'Makes the totals of a person''s month (in UTC) from the calls, unless they are there, and returns whether it did.';

CREATE FUNCTION raise_budget_alerts(touched budget_spending[]) RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    due record;
BEGIN
    FOR due IN
        SELECT s.user_id, s.period, s.period_start, s.spent_usd, budget.most, reached.threshold, reached.severity,
               -- Of a limit of nothing there is no share, and anything is too much.
               100 * s.spent_usd / nullif(budget.most, 0) AS share
        FROM unnest(touched) AS s
        JOIN budget_config AS b ON b.user_id = s.user_id
        CROSS JOIN LATERAL (VALUES
            ('hour', b.hourly_limit), ('day', b.daily_limit), ('month', b.monthly_limit)
        ) AS budget (period, most)
        CROSS JOIN LATERAL (VALUES
            (50, 'warning', b.alert_at_50), (75, 'warning', b.alert_at_75), (90, 'critical', b.alert_at_90),
            (100, 'emergency', true)
        ) AS reached (threshold, severity, wanted)
        WHERE budget.period = s.period AND reached.wanted AND s.spent_usd > 0 AND 100 * s.spent_usd >= reached.threshold * budget.most
          -- Each share of a limit is told once; after the limit was raised, the greater amount is told, too.
          AND NOT EXISTS (
              SELECT FROM budget_alerts AS told
              WHERE told.user_id = s.user_id AND told.period = s.period AND told.period_start = s.period_start
                AND told.threshold = reached.threshold AND told.limit_usd >= budget.most)
        ORDER BY s.user_id, s.period_start, s.period, reached.threshold
    LOOP
        BEGIN
            INSERT INTO budget_alerts (user_id, severity, percent_used, message, status, period, period_start, threshold, limit_usd)
            VALUES (
                due.user_id, due.severity, due.share,
                coalesce(format('%s %% of the budget of the %s is used: %s of %s USD', trunc(due.share), due.period, round(due.spent_usd, 2), due.most),
                         format('%s USD are spent of a budget of nothing for the %s', due.spent_usd, due.period)),
                jsonb_build_object('spent', due.spent_usd, 'limit', due.most), due.period, due.period_start, due.threshold, due.most)
            ON CONFLICT (user_id, period, period_start, threshold, limit_usd) WHERE threshold IS NOT NULL DO NOTHING;
        EXCEPTION
            -- The call is written all the same; the next one raises the alert.
            WHEN OTHERS THEN
                RAISE WARNING 'the alert at % %% of the budget of % was not written: %', due.threshold, due.user_id, SQLERRM;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION raise_budget_alerts(budget_spending[]) IS
    'Writes the alerts that these totals are due: at 50, 75, 90 and 100 % of a limit, each once in its period.';

CREATE FUNCTION api_cost_tracking_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO budget_changes (user_id, hour, cost_usd)
        SELECT user_id, date_trunc('hour', "timestamp", 'UTC'), sum(cost_usd)
        FROM added WHERE user_id IS NOT NULL AND cost_usd > 0 GROUP BY 1, 2;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO budget_changes (user_id, hour, cost_usd)
        SELECT user_id, date_trunc('hour', "timestamp", 'UTC'), -sum(cost_usd)
        FROM removed WHERE user_id IS NOT NULL AND cost_usd > 0 GROUP BY 1, 2;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api_cost_tracking_alert() IS
    'Trigger: notes what calls cost, for the totals and the alerts at the end of the transaction.';

CREATE FUNCTION settle_budget_changes() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    people text[];
    hours timestamptz[];
    costs numeric[];
    month record;
    counted timestamptz[] := '{}';
    counted_people text[] := '{}';
    touched budget_spending[];
BEGIN
    WITH taken AS (
        DELETE FROM budget_changes AS c WHERE c.xact = pg_current_xact_id() RETURNING c.user_id, c.hour, c.cost_usd
    )
    SELECT array_agg(own.user_id), array_agg(own.hour), array_agg(own.cost) INTO people, hours, costs
    FROM (SELECT user_id, hour, sum(cost_usd) FROM taken GROUP BY 1, 2 HAVING sum(cost_usd) <> 0) AS own (user_id, hour, cost);

    -- All transactions take the months in one order, so that none waits for another in a circle.
    FOR month IN
        SELECT DISTINCT own.user_id, date_trunc('month', own.hour, 'UTC') AS start
        FROM unnest(people, hours) AS own (user_id, hour)
        ORDER BY 1, 2
    LOOP
        IF count_budget_month(month.user_id, month.start) THEN
            counted_people := counted_people || month.user_id;
            counted := counted || month.start;
        END IF;
    END LOOP;

    -- A month that was counted just now holds these differences already.
    WITH changed AS (
        INSERT INTO budget_spending AS s (user_id, period, period_start, spent_usd)
        SELECT own.user_id, span.period, date_trunc(span.period, own.hour, 'UTC'), sum(own.cost)
        FROM unnest(people, hours, costs) AS own (user_id, hour, cost)
        CROSS JOIN (VALUES ('hour'), ('day'), ('month')) AS span (period)
        WHERE EXISTS (
                  SELECT FROM budget_spending AS total
                  WHERE total.user_id = own.user_id AND total.period = 'month' AND total.period_start = date_trunc('month', own.hour, 'UTC'))
          AND NOT EXISTS (
                  SELECT FROM unnest(counted_people, counted) AS done (user_id, month)
                  WHERE done.user_id = own.user_id AND done.month = date_trunc('month', own.hour, 'UTC'))
        GROUP BY own.user_id, span.period, 3
        HAVING sum(own.cost) <> 0
        ORDER BY own.user_id, span.period = 'month' DESC, 3, 2
        ON CONFLICT (user_id, period, period_start) DO UPDATE SET spent_usd = s.spent_usd + excluded.spent_usd
        RETURNING s AS total
    )
    SELECT array_agg(total) INTO touched FROM changed;
    IF cardinality(counted) > 0 THEN
        SELECT coalesce(touched, '{}') || array_agg(s) INTO touched
        FROM unnest(counted_people, counted) AS done (user_id, month)
        JOIN budget_spending AS s ON s.user_id = done.user_id AND date_trunc('month', s.period_start, 'UTC') = done.month
        WHERE EXISTS (
            SELECT FROM unnest(people, hours) AS own (user_id, hour)
            WHERE own.user_id = s.user_id AND date_trunc(s.period, own.hour, 'UTC') = s.period_start);
    END IF;

    DELETE FROM budget_spending AS s
    USING unnest(touched) AS t
    WHERE t.spent_usd = 0 AND s.user_id = t.user_id AND s.period = t.period AND s.period_start = t.period_start AND s.period <> 'month';
    PERFORM raise_budget_alerts(touched);
END
$$;
COMMENT ON FUNCTION settle_budget_changes() IS
    'Adds the changes that this transaction has noted to the totals of their persons, and raises the alerts that are due.';

CREATE FUNCTION budget_changes_settle() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    -- The first row of a transaction settles all that are there then.
    IF EXISTS (SELECT FROM budget_changes AS c WHERE c.xact = NEW.xact AND c.id = NEW.id) THEN
        PERFORM settle_budget_changes();
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION budget_changes_settle() IS 'Trigger: settles the changes of a transaction at its end.';

CREATE FUNCTION api_cost_tracking_forget() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM budget_spending;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api_cost_tracking_forget() IS 'Trigger: without calls there are no totals.';

CREATE FUNCTION budget_config_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    moment constant timestamptz := clock_timestamp();
    touched budget_spending[];
BEGIN
    -- A month that is counted below holds the calls of this transaction: they must not be added to it once more.
    PERFORM settle_budget_changes();
    -- Waits for a transaction that is ending with calls of this person; a later one sees the new limits.
    PERFORM count_budget_month(NEW.user_id, date_trunc('month', moment, 'UTC'));
    PERFORM FROM budget_spending AS s
    WHERE s.user_id = NEW.user_id AND s.period = 'month' AND s.period_start = date_trunc('month', moment, 'UTC')
    FOR UPDATE;
    SELECT array_agg(s) INTO touched
    FROM budget_spending AS s
    WHERE s.user_id = NEW.user_id AND s.period_start = date_trunc(s.period, moment, 'UTC');
    PERFORM raise_budget_alerts(touched);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION budget_config_alert() IS
    'Trigger: raises the alerts that a new limit is due for what is spent already in this hour, day and month.';

CREATE TRIGGER api_cost_tracking_alert AFTER INSERT ON api_cost_tracking
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_alert();
CREATE TRIGGER api_cost_tracking_alert_of_changes AFTER UPDATE ON api_cost_tracking
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_alert();
CREATE TRIGGER api_cost_tracking_deduct AFTER DELETE ON api_cost_tracking
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_alert();
CREATE TRIGGER api_cost_tracking_forget AFTER TRUNCATE ON api_cost_tracking
    FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_forget();
-- At the end of the transaction, so that nobody waits for a transaction that is still at work.
CREATE CONSTRAINT TRIGGER budget_changes_settle AFTER INSERT ON budget_changes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION budget_changes_settle();
CREATE CONSTRAINT TRIGGER budget_config_alert
    AFTER INSERT OR UPDATE OF user_id, hourly_limit, daily_limit, monthly_limit, alert_at_50, alert_at_75, alert_at_90 ON budget_config
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION budget_config_alert();
CREATE TRIGGER budget_config_set_updated_at BEFORE UPDATE ON budget_config
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER cost_models_set_updated_at BEFORE UPDATE ON cost_models
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE api_cost_tracking ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_config ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_spending ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE cost_models ENABLE ROW LEVEL SECURITY;

CREATE POLICY api_cost_tracking_owner_read ON api_cost_tracking FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY budget_config_owner ON budget_config
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY budget_alerts_owner_read ON budget_alerts FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY budget_alerts_owner_acknowledge ON budget_alerts FOR UPDATE
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY budget_spending_owner_read ON budget_spending FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE api_cost_tracking IS
    'What each call of a model cost. The service writes it, a person reads their own.';
COMMENT ON COLUMN api_cost_tracking.cached IS 'Answered from a cache, and so cheaper.';
COMMENT ON COLUMN api_cost_tracking.request_time_ms IS 'Milliseconds.';
COMMENT ON COLUMN api_cost_tracking."timestamp" IS 'When the call was made.';
COMMENT ON TABLE budget_config IS 'What a person may spend, in USD; a limit that is NULL is none.';
COMMENT ON COLUMN budget_config.hard_stop_enabled IS 'The application refuses calls past the limit.';
COMMENT ON COLUMN budget_config.alert_at_50 IS 'Whether half of a limit is told.';
COMMENT ON TABLE budget_alerts IS 'Shares of a budget that were reached.';
COMMENT ON COLUMN budget_alerts.period IS
    'The limit that it is about: hour, day or month; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.threshold IS
    'The share in percent that was reached; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.limit_usd IS
    'The limit that it is about, in USD; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.percent_used IS
    'The share of the limit that is used, in percent; it passes 100. NULL where the limit is nothing.';
COMMENT ON COLUMN budget_alerts.status IS 'What was spent, and the limit.';
COMMENT ON TABLE budget_spending IS
    'What the calls of a person cost in each hour, day and month (UTC), kept by triggers at the end of each transaction. '
    'Where the row of a month is deleted, the next call of that month counts it anew from the calls.';
COMMENT ON TABLE budget_changes IS
    'What a transaction has changed in the costs of calls and not yet added to the totals: empty between transactions. For triggers alone.';
COMMENT ON TABLE cost_models IS 'Prices of models in USD for a million tokens. For the service alone.';
COMMENT ON COLUMN cost_models.valid_to IS 'NULL for the price that holds now.';
COMMENT ON VIEW daily_costs IS 'Costs by person, day (UTC) and model.';
COMMENT ON VIEW monthly_costs IS 'Costs by person, month (UTC) and model.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT ON api_cost_tracking TO authenticated;
GRANT SELECT, UPDATE (acknowledged, acknowledged_at, acknowledged_by) ON budget_alerts TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON budget_config TO authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_cost_tracking, budget_alerts, cost_models TO service_role;
GRANT SELECT ON budget_spending, daily_costs, monthly_costs TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('api-cost-tracking.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '67344110725b7cc6b4f1aab396737ed629b8167b9ae4017b25f87dc9c5aad48e',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'api-cost-tracking.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'api-cost-tracking.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 20. fix-cost-tracking-user-id-CORRECTED.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'fix-cost-tracking-user-id-CORRECTED.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['35cddabb69eaa51c00276f6451e4dba916823f70b8d45545340d653a8665ca05']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 35cddabb69eaa51c00276f6451e4dba916823f70b8d45545340d653a8665ca05', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- fix-cost-tracking-user-id-CORRECTED.sql
--
-- A repair: user_id is text in the cost and budget tables, as in users. The columns
-- that it expects stand in migration.toml. A database where they are so needs no
-- statement. On one from before, where a column is uuid or varchar, it is converted,
-- with every row and with what hangs on it (keys, policies, views, functions,
-- triggers). What does not fit the new type stops it by name with nothing changed.
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('fix-cost-tracking-user-id-CORRECTED.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '35cddabb69eaa51c00276f6451e4dba916823f70b8d45545340d653a8665ca05',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'fix-cost-tracking-user-id-CORRECTED.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'fix-cost-tracking-user-id-CORRECTED.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 21. model-performance-tracking.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'model-performance-tracking.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['90abb118d4bc35f88d5b98886437f4bfc5f520e9b2c073a526fef22e46733d2f']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 90abb118d4bc35f88d5b98886437f4bfc5f520e9b2c073a526fef22e46733d2f', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- How models do: one row for each call, and what they add up to.

CREATE TABLE model_performance_metrics (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    conversation_id text,
    message_id uuid,
    provider text,
    model_name text NOT NULL,
    model text,
    task_type text,
    task_complexity text,
    response_time_ms integer,
    total_tokens integer,
    tokens_used integer,
    input_tokens integer,
    output_tokens integer,
    success boolean NOT NULL DEFAULT true,
    error_message text,
    user_rating integer,
    quality_score double precision,
    metadata jsonb DEFAULT '{}',
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_performance_metrics_pkey PRIMARY KEY (id),
    CONSTRAINT model_performance_metrics_provider_check CHECK (provider IN ('anthropic', 'google', 'openai', 'other')),
    CONSTRAINT model_performance_metrics_task_type_check
        CHECK (task_type IN
            ('analysis', 'coding', 'creative', 'file_processing', 'function_calling', 'general', 'general_chat',
             'other', 'reasoning')),
    CONSTRAINT model_performance_metrics_task_complexity_check
        CHECK (task_complexity IN ('complex', 'medium', 'simple')),
    CONSTRAINT model_performance_metrics_response_time_ms_check CHECK (response_time_ms >= 0),
    CONSTRAINT model_performance_metrics_total_tokens_check CHECK (total_tokens >= 0),
    CONSTRAINT model_performance_metrics_input_tokens_check CHECK (input_tokens >= 0),
    CONSTRAINT model_performance_metrics_output_tokens_check CHECK (output_tokens >= 0),
    CONSTRAINT model_performance_metrics_user_rating_check CHECK (user_rating BETWEEN 1 AND 5),
    CONSTRAINT model_performance_metrics_quality_score_check CHECK (quality_score BETWEEN 0 AND 1),
    CONSTRAINT model_performance_metrics_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT model_performance_metrics_conversation_id_fkey
        FOREIGN KEY (conversation_id) REFERENCES conversations (id) ON DELETE SET NULL
);

CREATE INDEX idx_model_performance_metrics_user_id ON model_performance_metrics (user_id, "timestamp" DESC);
CREATE INDEX idx_model_performance_metrics_conversation_id ON model_performance_metrics (conversation_id);
CREATE INDEX idx_model_performance_metrics_model_name ON model_performance_metrics (model_name, "timestamp" DESC);
CREATE INDEX idx_model_performance_metrics_model ON model_performance_metrics (model);
CREATE INDEX idx_model_performance_metrics_task_type ON model_performance_metrics (task_type, model_name);
CREATE INDEX idx_model_performance_metrics_timestamp ON model_performance_metrics ("timestamp" DESC);
CREATE INDEX idx_model_performance_metrics_failures ON model_performance_metrics (model_name, "timestamp" DESC)
    WHERE NOT success;

CREATE FUNCTION model_performance_metrics_sync_model_name() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $sync_model_name$
DECLARE
    documented_given boolean;
    other_given boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        documented_given := NEW.model_name IS NOT NULL;
        other_given := NEW.model IS NOT NULL;
    ELSE
        documented_given := NEW.model_name IS DISTINCT FROM OLD.model_name;
        other_given := NEW.model IS DISTINCT FROM OLD.model;
    END IF;
    IF documented_given AND other_given AND NEW.model_name IS DISTINCT FROM NEW.model THEN
        RAISE EXCEPTION 'model_performance_metrics.model_name and model_performance_metrics.model are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'model_performance_metrics', COLUMN = 'model';
    ELSIF other_given THEN
        NEW.model_name := NEW.model;
    ELSE
        NEW.model := NEW.model_name;
    END IF;
    RETURN NEW;
END
$sync_model_name$;
COMMENT ON FUNCTION model_performance_metrics_sync_model_name() IS
    'Trigger: keeps model_name and the application''s model equal.';
CREATE TRIGGER model_performance_metrics_sync_model_name
    BEFORE INSERT OR UPDATE OF model_name, model ON model_performance_metrics
    FOR EACH ROW EXECUTE FUNCTION model_performance_metrics_sync_model_name();

CREATE FUNCTION model_performance_metrics_sync_total_tokens() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $sync_total_tokens$
DECLARE
    documented_given boolean;
    other_given boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        documented_given := NEW.total_tokens IS NOT NULL;
        other_given := NEW.tokens_used IS NOT NULL;
    ELSE
        documented_given := NEW.total_tokens IS DISTINCT FROM OLD.total_tokens;
        other_given := NEW.tokens_used IS DISTINCT FROM OLD.tokens_used;
    END IF;
    IF documented_given AND other_given AND NEW.total_tokens IS DISTINCT FROM NEW.tokens_used THEN
        RAISE EXCEPTION 'model_performance_metrics.total_tokens and model_performance_metrics.tokens_used are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'model_performance_metrics', COLUMN = 'tokens_used';
    ELSIF other_given THEN
        NEW.total_tokens := NEW.tokens_used;
    ELSE
        NEW.tokens_used := NEW.total_tokens;
    END IF;
    RETURN NEW;
END
$sync_total_tokens$;
COMMENT ON FUNCTION model_performance_metrics_sync_total_tokens() IS
    'Trigger: keeps total_tokens and the application''s tokens_used equal.';
CREATE TRIGGER model_performance_metrics_sync_total_tokens
    BEFORE INSERT OR UPDATE OF total_tokens, tokens_used ON model_performance_metrics
    FOR EACH ROW EXECUTE FUNCTION model_performance_metrics_sync_total_tokens();

CREATE VIEW model_performance_summary WITH (security_invoker = true) AS
    SELECT model_name, provider, count(*) AS requests,
           avg(response_time_ms) AS avg_response_time_ms,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY response_time_ms) AS p95_response_time_ms,
           avg(total_tokens) AS avg_total_tokens, sum(total_tokens)::bigint AS total_tokens,
           count(*) FILTER (WHERE NOT success) AS errors,
           round(count(*) FILTER (WHERE NOT success)::numeric / count(*), 4) AS error_rate,
           avg(user_rating) AS avg_user_rating, count(user_rating) AS ratings, avg(quality_score) AS avg_quality_score,
           max("timestamp") AS last_used_at
    FROM model_performance_metrics
    GROUP BY model_name, provider;

CREATE VIEW model_error_rates WITH (security_invoker = true) AS
    SELECT model_name, date_trunc('day', "timestamp" AT TIME ZONE 'UTC')::date AS day, count(*) AS requests,
           count(*) FILTER (WHERE NOT success) AS errors,
           round(count(*) FILTER (WHERE NOT success)::numeric / count(*), 4) AS error_rate,
           avg(response_time_ms) AS avg_response_time_ms
    FROM model_performance_metrics
    GROUP BY model_name, date_trunc('day', "timestamp" AT TIME ZONE 'UTC');

ALTER TABLE model_performance_metrics ENABLE ROW LEVEL SECURITY;

CREATE POLICY model_performance_metrics_owner_read ON model_performance_metrics FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY model_performance_metrics_owner_rate ON model_performance_metrics FOR UPDATE
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE model_performance_metrics IS
    'How each call of a model went. The service writes it; a person reads and rates their own.';
COMMENT ON COLUMN model_performance_metrics.model IS
    'The application''s other name for model_name, kept equal by a trigger.';
COMMENT ON COLUMN model_performance_metrics.tokens_used IS
    'The application''s other name for total_tokens, kept equal by a trigger.';
COMMENT ON COLUMN model_performance_metrics.message_id IS
    'The application''s own number of the message; a plain value.';
COMMENT ON COLUMN model_performance_metrics.response_time_ms IS 'Milliseconds.';
COMMENT ON COLUMN model_performance_metrics.user_rating IS 'From 1 to 5, by the person.';
COMMENT ON COLUMN model_performance_metrics.quality_score IS 'From 0 to 1, by the application.';
COMMENT ON VIEW model_performance_summary IS 'Each model''s response time, tokens, error rate and ratings.';
COMMENT ON VIEW model_error_rates IS 'Each model''s error rate by day (UTC).';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT, UPDATE (user_rating) ON model_performance_metrics TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON model_performance_metrics TO service_role;
GRANT SELECT ON model_performance_summary, model_error_rates TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('model-performance-tracking.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '90abb118d4bc35f88d5b98886437f4bfc5f520e9b2c073a526fef22e46733d2f',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'model-performance-tracking.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'model-performance-tracking.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 22. model-cost-comparison-enhancement.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'model-cost-comparison-enhancement.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['aeefbcf8f789003a13120f4ed96a31e7904c774d31b30cffb57511265856a4ef']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is aeefbcf8f789003a13120f4ed96a31e7904c774d31b30cffb57511265856a4ef', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- What models cost for which task, which one to take, and where a budget could be saved.

ALTER TABLE model_performance_metrics
    ADD COLUMN cost_usd numeric(10,6)
        CONSTRAINT model_performance_metrics_cost_usd_check CHECK (cost_usd >= 0);
COMMENT ON COLUMN model_performance_metrics.cost_usd IS
    'What the call cost: as it was said, else by a trigger, else NULL.';

CREATE INDEX idx_model_performance_metrics_cost
    ON model_performance_metrics (task_type, task_complexity, model_name) INCLUDE (cost_usd) WHERE cost_usd IS NOT NULL;

-- The application does not say what a call cost. By the price in cost_models it is
-- known; without one, it is estimated by what the model's last calls cost for a token.
CREATE FUNCTION model_performance_metrics_price() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    cost numeric;
BEGIN
    SELECT (NEW.input_tokens * price.input_cost_per_million + NEW.output_tokens * price.output_cost_per_million) / 1000000
    INTO cost
    FROM cost_models AS price
    WHERE price.model = coalesce(NEW.model_name, NEW.model) AND (NEW.provider IS NULL OR price.provider = NEW.provider)
      AND price.valid_from <= NEW."timestamp" AND (price.valid_to IS NULL OR price.valid_to > NEW."timestamp")
    ORDER BY price.valid_from DESC
    LIMIT 1;
    IF cost IS NULL THEN
        SELECT sum(recent.cost_usd) / nullif(sum(recent.tokens), 0)
               * coalesce(NEW.total_tokens, NEW.tokens_used, NEW.input_tokens + NEW.output_tokens)
        INTO cost
        FROM (SELECT c.cost_usd, coalesce(nullif(coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0), 0), c.tokens_used) AS tokens
              FROM api_cost_tracking AS c
              WHERE c.model = coalesce(NEW.model_name, NEW.model)
              ORDER BY c."timestamp" DESC
              LIMIT 20) AS recent
        WHERE recent.tokens > 0;
    END IF;
    -- An estimate that the column cannot hold is none, and the measurement is written all the same.
    NEW.cost_usd := CASE WHEN cost < 9999 THEN cost END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION model_performance_metrics_price() IS
    'Trigger: what a call cost, where it is not said: by its price, else by the model''s last 20 calls.';
CREATE TRIGGER model_performance_metrics_price BEFORE INSERT ON model_performance_metrics
    FOR EACH ROW WHEN (NEW.cost_usd IS NULL) EXECUTE FUNCTION model_performance_metrics_price();

-- Quality is from 0 to 1: what people say (1 to 5 stars), else what the application says, times the share of calls that
-- succeed. A model that nobody rated counts as the rated ones of its class do on average, so that to be rated is no
-- disadvantage; where no model is rated, success alone counts.
CREATE FUNCTION model_costs_since(since timestamptz, for_task_type text DEFAULT NULL) RETURNS TABLE (
    task_type text, task_complexity text, model_name text, provider text, requests bigint,
    priced_requests bigint, total_cost_usd numeric, avg_cost_usd numeric,
    counted_requests bigint, total_tokens numeric, priced_tokens numeric, token_cost_usd numeric,
    timed_requests bigint, avg_response_time_ms numeric, success_rate numeric, quality numeric
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    SELECT c.task_type, c.task_complexity, c.model_name, c.provider, c.requests, c.priced_requests, c.total_cost_usd, c.avg_cost_usd,
           c.counted_requests, c.total_tokens, c.priced_tokens, c.token_cost_usd, c.timed_requests, c.avg_response_time_ms, c.success_rate,
           c.success_rate * coalesce(c.rated, avg(c.rated) OVER (PARTITION BY c.task_type, c.task_complexity), 1)
    FROM (
        SELECT coalesce(m.task_type, 'other') AS task_type, coalesce(m.task_complexity, 'medium') AS task_complexity,
               m.model_name, m.provider, count(*) AS requests,
               count(m.cost_usd) AS priced_requests, sum(m.cost_usd) AS total_cost_usd, avg(m.cost_usd) AS avg_cost_usd,
               count(t.tokens) AS counted_requests, sum(t.tokens) AS total_tokens,
               sum(t.tokens) FILTER (WHERE m.cost_usd IS NOT NULL) AS priced_tokens,
               sum(m.cost_usd) FILTER (WHERE t.tokens IS NOT NULL) AS token_cost_usd,
               count(m.response_time_ms) AS timed_requests, avg(m.response_time_ms) AS avg_response_time_ms,
               avg(m.success::integer) AS success_rate,
               coalesce((avg(m.user_rating) - 1) / 4, avg(m.quality_score)::numeric) AS rated
        FROM model_performance_metrics AS m
        CROSS JOIN LATERAL (SELECT nullif(coalesce(m.total_tokens, m.input_tokens + m.output_tokens), 0)::numeric) AS t (tokens)
        WHERE m."timestamp" >= since AND (for_task_type IS NULL OR coalesce(m.task_type, 'other') = for_task_type)
        GROUP BY 1, 2, 3, 4
    ) AS c
$$;
COMMENT ON FUNCTION model_costs_since(timestamptz, text) IS
    'What each model cost and how it did since a moment, by task and complexity, among what the caller may see.';

CREATE VIEW model_task_costs WITH (security_invoker = true) AS
    SELECT task_type, task_complexity, model_name, provider, requests, avg_cost_usd, total_cost_usd, success_rate,
           quality, avg_response_time_ms,
           CASE WHEN success_rate > 0 THEN avg_cost_usd / success_rate END AS cost_per_success,
           1000000 * token_cost_usd / priced_tokens AS cost_per_million_tokens,
           -- Against the dearest model of the class: cheap and good is near 1, dear and good near one half. A cost that
           -- nobody knows counts as the dearest. Where one model alone did such tasks there is nothing to compare.
           CASE WHEN count(*) OVER class > 1 THEN
               round(quality / (1 + CASE WHEN avg_cost_usd IS NULL THEN 1 WHEN avg_cost_usd = 0 THEN 0
                                         ELSE avg_cost_usd / max(avg_cost_usd) OVER class END), 4)
           END AS value_score,
           priced_requests, timed_requests
    FROM model_costs_since('-infinity')
    WINDOW class AS (PARTITION BY task_type, task_complexity);
COMMENT ON VIEW model_task_costs IS 'Each model''s cost, quality and value for a kind of task.';

-- Models are compared by what the tasks of a kind, as all models did them, would cost by each: by its own average
-- where it did tasks of a complexity, else by its cost of a token and the tokens that such a task takes, else by its
-- average of all tasks. So a model that did only the simple tasks does not look cheap for that, and one that alone
-- did the complex ones is compared as well. Quality and success are weighed by complexity in the same way.
CREATE FUNCTION recommend_model(
    for_task_type text,
    for_task_complexity text DEFAULT NULL,
    most_cost_usd numeric DEFAULT NULL,
    least_requests integer DEFAULT 5
) RETURNS TABLE (
    model_name text, provider text, value_score numeric, quality numeric, success_rate numeric, avg_cost_usd numeric,
    avg_response_time_ms numeric, requests bigint, task_cost_usd numeric, cost_per_million_tokens numeric
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    WITH done AS (
        SELECT c.*
        FROM model_costs_since('-infinity', for_task_type) AS c
        WHERE c.task_type = for_task_type AND (for_task_complexity IS NULL OR c.task_complexity = for_task_complexity)
    ),
    classes AS (
        SELECT d.task_complexity, sum(d.requests) AS requests, sum(d.total_tokens) / nullif(sum(d.counted_requests), 0) AS tokens
        FROM done AS d
        GROUP BY d.task_complexity
    ),
    models AS (
        SELECT d.model_name, d.provider, sum(d.requests)::bigint AS requests,
               sum(d.total_cost_usd) / nullif(sum(d.priced_requests), 0) AS avg_cost,
               sum(d.token_cost_usd) / nullif(sum(d.priced_tokens), 0) AS token_cost,
               sum(d.avg_response_time_ms * d.timed_requests) / nullif(sum(d.timed_requests), 0) AS avg_response
        FROM done AS d
        GROUP BY d.model_name, d.provider
        HAVING sum(d.requests) >= least_requests
    ),
    compared AS (
        SELECT m.model_name, m.provider, m.requests, m.avg_cost, m.token_cost, m.avg_response,
               sum(class.requests * coalesce(own.avg_cost_usd, m.token_cost * class.tokens, m.avg_cost)) / sum(class.requests) AS task_cost,
               sum(class.requests * own.quality) / sum(class.requests) FILTER (WHERE own.requests > 0) AS quality,
               sum(class.requests * own.success_rate) / sum(class.requests) FILTER (WHERE own.requests > 0) AS success_rate
        FROM models AS m
        CROSS JOIN classes AS class
        LEFT JOIN done AS own
            ON own.task_complexity = class.task_complexity AND own.model_name = m.model_name
           AND own.provider IS NOT DISTINCT FROM m.provider
        GROUP BY m.model_name, m.provider, m.requests, m.avg_cost, m.token_cost, m.avg_response
    )
    SELECT c.model_name, c.provider,
           round(c.quality / (1 + CASE WHEN c.task_cost IS NULL THEN 1 WHEN c.task_cost = 0 THEN 0
                                       ELSE c.task_cost / max(c.task_cost) OVER () END), 4),
           round(c.quality, 4), round(c.success_rate, 4), round(c.avg_cost, 6), round(c.avg_response, 1), c.requests,
           round(c.task_cost, 6), round(1000000 * c.token_cost, 6)
    FROM compared AS c
    -- Where there is a limit, a model whose cost nobody knows is not recommended.
    WHERE most_cost_usd IS NULL OR c.task_cost <= most_cost_usd
    ORDER BY 3 DESC, c.task_cost NULLS LAST, 1, 2
$$;
COMMENT ON FUNCTION recommend_model(text, text, numeric, integer) IS
    'The models that did a kind of task, the best value first, among what the caller may see. '
    'task_cost_usd is what they are compared by.';

-- What is used and what is suggested are measured over the same days and the same calls. Within a class of tasks
-- only a model of a lower average is suggested, so never each of two for the other. A person's saving is the share
-- by which the suggested model is cheaper: one person's tasks may be larger than another's.
CREATE FUNCTION suggest_budget_savings(
    over_days integer DEFAULT 30,
    least_requests integer DEFAULT 5,
    for_user_id text DEFAULT NULL
) RETURNS TABLE (
    task_type text, task_complexity text, current_model text, suggested_model text, requests bigint,
    current_cost_usd numeric, projected_cost_usd numeric, saving_usd numeric, quality_change numeric,
    user_id text, spent_usd numeric, budget_usd numeric, percent_used numeric, percent_after numeric
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    WITH span AS (SELECT now() - make_interval(days => over_days) AS start),
    -- A model of several providers is one model here.
    models AS (
        SELECT c.task_type, c.task_complexity, c.model_name, sum(c.requests) AS requests,
               sum(c.total_cost_usd) / nullif(sum(c.priced_requests), 0) AS avg_cost,
               sum(c.quality * c.requests) / sum(c.requests) AS quality,
               sum(c.success_rate * c.requests) / sum(c.requests) AS success_rate
        FROM span
        CROSS JOIN LATERAL model_costs_since(span.start) AS c
        GROUP BY c.task_type, c.task_complexity, c.model_name
    ),
    used AS (
        SELECT m.user_id, coalesce(m.task_type, 'other') AS task_type, coalesce(m.task_complexity, 'medium') AS task_complexity,
               m.model_name, count(*) AS requests, sum(m.cost_usd) AS cost
        FROM span
        JOIN model_performance_metrics AS m ON m."timestamp" >= span.start
        WHERE m.cost_usd IS NOT NULL AND (for_user_id IS NULL OR m.user_id = for_user_id)
        GROUP BY 1, 2, 3, 4
    ),
    -- A person's budget for these days, a month taken as 30: the least that any of the limits allows. What was spent
    -- is known from the tracked calls; what was measured alone may be less, or all that is known.
    people AS (
        SELECT own.user_id, greatest(own.cost, tracked.cost) AS spent,
               least(b.monthly_limit, 30 * b.daily_limit, 720 * b.hourly_limit) * over_days / 30 AS budget
        FROM (SELECT u.user_id, sum(u.cost) AS cost FROM used AS u GROUP BY u.user_id) AS own
        LEFT JOIN budget_config AS b ON b.user_id = own.user_id
        CROSS JOIN span
        CROSS JOIN LATERAL (
            SELECT sum(c.cost_usd) FROM api_cost_tracking AS c WHERE c.user_id = own.user_id AND c."timestamp" >= span.start
        ) AS tracked (cost)
    ),
    best AS (
        SELECT DISTINCT ON (used.user_id, used.task_type, used.task_complexity, used.model_name)
               used.*, other.model_name AS suggested, used.cost * other.avg_cost / mine.avg_cost AS projected,
               other.quality - mine.quality AS quality_change
        FROM used
        JOIN models AS mine USING (task_type, task_complexity, model_name)
        JOIN models AS other
            ON other.task_type = used.task_type AND other.task_complexity = used.task_complexity
           AND other.requests >= least_requests AND other.avg_cost < mine.avg_cost
           -- Hardly worse is good enough to be suggested.
           AND other.quality >= mine.quality - 0.05 AND other.success_rate >= mine.success_rate - 0.05
        ORDER BY used.user_id, used.task_type, used.task_complexity, used.model_name, other.avg_cost, other.model_name
    )
    SELECT best.task_type, best.task_complexity, best.model_name, best.suggested, best.requests, round(best.cost, 6), round(best.projected, 6),
           round(best.cost - best.projected, 6), round(best.quality_change, 4),
           best.user_id, round(people.spent, 6), round(people.budget, 2),
           round(100 * people.spent / nullif(people.budget, 0), 2),
           round(100 * (people.spent - best.cost + best.projected) / nullif(people.budget, 0), 2)
    FROM best
    LEFT JOIN people ON people.user_id IS NOT DISTINCT FROM best.user_id
    -- Whoever is past a budget comes first, then what saves most.
    ORDER BY (people.spent > people.budget) DESC NULLS LAST, 8 DESC, 10, 1, 2, 3
$$;
COMMENT ON FUNCTION suggest_budget_savings(integer, integer, text) IS
    'Where a cheaper model did as well, what it would have saved each person in so many days, and what that means for '
    'the budget, among what the caller may see. percent_after is with this suggestion alone.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
GRANT SELECT ON model_task_costs TO authenticated, service_role;
GRANT EXECUTE
    ON FUNCTION
        model_costs_since(timestamptz, text),
        recommend_model(text, text, numeric, integer),
        suggest_budget_savings(integer, integer, text)
    TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('model-cost-comparison-enhancement.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'aeefbcf8f789003a13120f4ed96a31e7904c774d31b30cffb57511265856a4ef',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'model-cost-comparison-enhancement.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'model-cost-comparison-enhancement.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 10

-- 23. add-transcription-job-tracking.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'add-transcription-job-tracking.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['2839826a1396d0249bdcf8a3e700e643d423ab16724686ec35e6be8d8d56597c']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 2839826a1396d0249bdcf8a3e700e643d423ab16724686ec35e6be8d8d56597c', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- Jobs of transcription: who does it, how far it is, and what went wrong.

-- What was transcribed before jobs were tracked is done; what has no text yet waits.
-- Columns that are computed at first give that to the rows that are there, and stamp
-- none of them as changed.
ALTER TABLE audio_transcriptions
    ADD COLUMN status text
        GENERATED ALWAYS AS (CASE WHEN text <> '' THEN 'completed' ELSE 'pending' END) STORED,
    ADD COLUMN progress integer
        GENERATED ALWAYS AS (CASE WHEN text <> '' THEN 100 ELSE 0 END) STORED
        CONSTRAINT audio_transcriptions_progress_check CHECK (progress BETWEEN 0 AND 100),
    ADD COLUMN job_id text,
    ADD COLUMN assemblyai_id text,
    ADD COLUMN service text,
    ADD COLUMN error_message text,
    ADD COLUMN error text,
    ADD COLUMN job_metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN job_submitted_at timestamptz,
    ADD COLUMN job_completed_at timestamptz
        CONSTRAINT audio_transcriptions_job_completed_at_check CHECK (job_completed_at >= job_submitted_at);
ALTER TABLE audio_transcriptions
    ALTER COLUMN status DROP EXPRESSION,
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN progress DROP EXPRESSION,
    ALTER COLUMN progress SET DEFAULT 0;

CREATE INDEX idx_audio_transcriptions_job_id ON audio_transcriptions (job_id);
CREATE INDEX idx_audio_transcriptions_assemblyai_id ON audio_transcriptions (assemblyai_id);
CREATE INDEX idx_audio_transcriptions_status
    ON audio_transcriptions (user_id, status, created_at DESC);
-- What a worker looks for: jobs that are not at their end.
CREATE INDEX idx_audio_transcriptions_open_jobs ON audio_transcriptions (created_at)
    WHERE job_completed_at IS NULL AND status NOT IN ('completed', 'error', 'failed');

CREATE FUNCTION audio_transcriptions_sync_error_message() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $sync_error_message$
DECLARE
    documented_given boolean;
    other_given boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        documented_given := NEW.error_message IS NOT NULL;
        other_given := NEW.error IS NOT NULL;
    ELSE
        documented_given := NEW.error_message IS DISTINCT FROM OLD.error_message;
        other_given := NEW.error IS DISTINCT FROM OLD.error;
    END IF;
    IF documented_given AND other_given AND NEW.error_message IS DISTINCT FROM NEW.error THEN
        RAISE EXCEPTION 'audio_transcriptions.error_message and audio_transcriptions.error are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'audio_transcriptions', COLUMN = 'error';
    ELSIF other_given THEN
        NEW.error_message := NEW.error;
    ELSE
        NEW.error := NEW.error_message;
    END IF;
    RETURN NEW;
END
$sync_error_message$;
COMMENT ON FUNCTION audio_transcriptions_sync_error_message() IS
    'Trigger: keeps error_message and the application''s error equal.';
CREATE TRIGGER audio_transcriptions_sync_error_message
    BEFORE INSERT OR UPDATE OF error_message, error ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION audio_transcriptions_sync_error_message();

COMMENT ON COLUMN audio_transcriptions.job_id IS 'The application''s own number of the job.';
COMMENT ON COLUMN audio_transcriptions.assemblyai_id IS 'The service''s number of the job.';
COMMENT ON COLUMN audio_transcriptions.service IS 'Who transcribes, such as assemblyai.';
COMMENT ON COLUMN audio_transcriptions.status IS
    'How the job stands, in the words of the application and of the service.';
COMMENT ON COLUMN audio_transcriptions.progress IS 'Percent.';
COMMENT ON COLUMN audio_transcriptions.error IS
    'The application''s other name for error_message, kept equal by a trigger.';
COMMENT ON COLUMN audio_transcriptions.job_metadata IS 'What the service said of the job.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('add-transcription-job-tracking.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '2839826a1396d0249bdcf8a3e700e643d423ab16724686ec35e6be8d8d56597c',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'add-transcription-job-tracking.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'add-transcription-job-tracking.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 24. MIGRATION_FIX_TRANSCRIPTION.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'MIGRATION_FIX_TRANSCRIPTION.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['708d39b038fdc8080abab2c6c424a2915cef2da766cf00187acaf35598a79453']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 708d39b038fdc8080abab2c6c424a2915cef2da766cf00187acaf35598a79453', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- MIGRATION_FIX_TRANSCRIPTION.sql
--
-- A repair: audio_transcriptions as COMPLETE_MIGRATION.sql and
-- add-transcription-job-tracking.sql want it, in full. The columns that it expects
-- stand in migration.toml. A database where they are so needs no statement. Elsewhere
-- columns get their type, with every row and with what hangs on them (views, policies,
-- triggers); what does not fit the new type stops it by name with nothing changed.
--
-- Not here: ids of people and projects (COMPREHENSIVE_TYPE_FIX.sql), and an id that
-- is a number, which stays one: others may have written it down.
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('MIGRATION_FIX_TRANSCRIPTION.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '708d39b038fdc8080abab2c6c424a2915cef2da766cf00187acaf35598a79453',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'MIGRATION_FIX_TRANSCRIPTION.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'MIGRATION_FIX_TRANSCRIPTION.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 11

-- 25. zapier-webhook-logs.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'zapier-webhook-logs.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['df389d0fe598dd0388fc7c61d3dae40a49ad3fa233550acc53490a08116e6a88']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is df389d0fe598dd0388fc7c61d3dae40a49ad3fa233550acc53490a08116e6a88', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- zapier-webhook-logs.sql
--
-- Every call of a Zapier webhook: what was sent, what came back, what went
-- wrong, and what Zapier said of its rate limit. The service writes it; people
-- read what was called for them. A row outlives its person.

CREATE TABLE zapier_webhook_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    event_type text NOT NULL,
    priority text DEFAULT 'medium',
    success boolean NOT NULL DEFAULT false,
    webhook_called boolean NOT NULL DEFAULT false,
    webhook_id text,
    attempt integer NOT NULL DEFAULT 1,
    payload_preview text,
    request_body jsonb,
    request_size_bytes integer,
    response_status integer,
    response_body text,
    duration_ms integer,
    error text,
    error_code text,
    rate_limited boolean NOT NULL DEFAULT false,
    rate_limit integer,
    rate_limit_remaining integer,
    rate_limit_reset_at timestamptz,
    retry_after_seconds integer,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT zapier_webhook_logs_pkey PRIMARY KEY (id),
    CONSTRAINT zapier_webhook_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT zapier_webhook_logs_priority_check CHECK (priority IN ('high', 'low', 'medium', 'urgent')),
    CONSTRAINT zapier_webhook_logs_attempt_check CHECK (attempt > 0),
    CONSTRAINT zapier_webhook_logs_request_size_bytes_check CHECK (request_size_bytes >= 0),
    CONSTRAINT zapier_webhook_logs_response_status_check CHECK (response_status BETWEEN 100 AND 599),
    CONSTRAINT zapier_webhook_logs_duration_ms_check CHECK (duration_ms >= 0),
    CONSTRAINT zapier_webhook_logs_rate_limit_check CHECK (rate_limit >= 0),
    CONSTRAINT zapier_webhook_logs_rate_limit_remaining_check CHECK (rate_limit_remaining >= 0),
    CONSTRAINT zapier_webhook_logs_retry_after_seconds_check CHECK (retry_after_seconds >= 0)
);

CREATE INDEX idx_zapier_webhook_logs_user_id_timestamp ON zapier_webhook_logs (user_id, "timestamp" DESC);
CREATE INDEX idx_zapier_webhook_logs_event_type_timestamp ON zapier_webhook_logs (event_type, "timestamp" DESC);
CREATE INDEX idx_zapier_webhook_logs_timestamp ON zapier_webhook_logs ("timestamp" DESC);
-- What went wrong is looked for often, and is little of the whole.
CREATE INDEX idx_zapier_webhook_logs_failed ON zapier_webhook_logs ("timestamp" DESC) WHERE NOT success;
CREATE INDEX idx_zapier_webhook_logs_rate_limited ON zapier_webhook_logs (user_id, "timestamp" DESC) WHERE rate_limited;

COMMENT ON TABLE zapier_webhook_logs IS
    'Calls of Zapier webhooks, with request, response, errors and rate limits. '
    'The service writes it, a person reads their own.';
COMMENT ON COLUMN zapier_webhook_logs.user_id IS
    'The person for whom it was called; NULL for the service itself, and once the person is gone.';
COMMENT ON COLUMN zapier_webhook_logs.success IS
    'Whether the event was handled; a call that was not needed can be a success, too.';
COMMENT ON COLUMN zapier_webhook_logs.webhook_called IS 'Whether Zapier was called at all.';
COMMENT ON COLUMN zapier_webhook_logs.webhook_id IS 'The id that Zapier gave to the request.';
COMMENT ON COLUMN zapier_webhook_logs.attempt IS '1 for the first call of an event, 2 for its first repetition.';
COMMENT ON COLUMN zapier_webhook_logs.payload_preview IS 'The beginning of what was sent.';
COMMENT ON COLUMN zapier_webhook_logs.request_body IS 'What was sent, whole, where it is kept.';
COMMENT ON COLUMN zapier_webhook_logs.response_status IS 'The HTTP status that came back; NULL where none came.';
COMMENT ON COLUMN zapier_webhook_logs.error_code IS 'The kind of error, to count by.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limited IS
    'Whether the call was refused, or not made, because of a rate limit.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit IS 'The calls that Zapier allows in its window, as it said.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit_remaining IS 'The calls left in that window, as Zapier said.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit_reset_at IS 'When that window ends, as Zapier said.';
COMMENT ON COLUMN zapier_webhook_logs.retry_after_seconds IS 'How long Zapier asked to wait.';
COMMENT ON COLUMN zapier_webhook_logs."timestamp" IS 'When it was called, by the application''s clock.';

ALTER TABLE zapier_webhook_logs ENABLE ROW LEVEL SECURITY;

CREATE POLICY zapier_webhook_logs_owner_read ON zapier_webhook_logs
    FOR SELECT USING (user_id = (SELECT requesting_user_id()));

CREATE VIEW zapier_webhook_rates WITH (security_invoker = true) AS
SELECT log.user_id,
       date_trunc('hour', log."timestamp", 'UTC') AS hour,
       log.event_type,
       count(*) AS events,
       count(*) FILTER (WHERE log.webhook_called) AS calls,
       count(*) FILTER (WHERE NOT log.success) AS failed,
       count(*) FILTER (WHERE log.rate_limited) AS rate_limited,
       min(log.rate_limit_remaining) AS lowest_remaining,
       avg(log.duration_ms)::double precision AS average_ms
FROM zapier_webhook_logs AS log
GROUP BY 1, 2, 3;
COMMENT ON VIEW zapier_webhook_rates IS
    'For each person, hour and kind of event: '
    'how many events there were, how many calls they took, failed, and met a rate limit.';

-- A sliding window over the log. The log itself is the counter, so that nothing
-- else has to be kept in step.
CREATE FUNCTION zapier_webhook_allowance(
    for_user_id text,
    max_calls integer DEFAULT 100,
    within interval DEFAULT '1 hour')
RETURNS TABLE (
    calls bigint,
    remaining bigint,
    allowed boolean,
    next_call_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 1 SET search_path FROM CURRENT
AS $function$
DECLARE
    window_free_at timestamptz;
    zapier_free_at timestamptz;
BEGIN
    IF for_user_id IS NULL OR max_calls IS NULL OR max_calls < 1 OR within IS NULL OR within <= interval '0' THEN
        RAISE EXCEPTION 'zapier_webhook_allowance() needs a person, max_calls of 1 or more and a window longer than nothing'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT count(*) INTO calls
    FROM zapier_webhook_logs AS log
    WHERE log.user_id = for_user_id AND log.webhook_called AND log."timestamp" > now() - within;
    -- With n calls allowed, the next one may come when the n-th latest leaves the window.
    IF calls >= max_calls THEN
        SELECT log."timestamp" + within INTO window_free_at
        FROM zapier_webhook_logs AS log
        WHERE log.user_id = for_user_id AND log.webhook_called
        ORDER BY log."timestamp" DESC
        OFFSET max_calls - 1 LIMIT 1;
    END IF;
    -- What Zapier said last counts, whatever we allow ourselves.
    SELECT coalesce(log.rate_limit_reset_at, log."timestamp" + make_interval(secs => log.retry_after_seconds)) INTO zapier_free_at
    FROM zapier_webhook_logs AS log
    WHERE log.user_id = for_user_id AND log.rate_limited
    ORDER BY log."timestamp" DESC
    LIMIT 1;
    next_call_at := greatest(now(), window_free_at, zapier_free_at);
    allowed := next_call_at <= now();
    remaining := CASE WHEN allowed THEN max_calls - calls ELSE 0 END;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION zapier_webhook_allowance(text, integer, interval) IS
    'Whether Zapier may be called for a person now: no more than max_calls within the interval before, '
    'and not before the time that Zapier named when it last refused.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People read what was called for them; the service writes.
GRANT SELECT ON zapier_webhook_logs, zapier_webhook_rates TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON zapier_webhook_logs TO service_role;
GRANT SELECT ON zapier_webhook_rates TO service_role;
GRANT EXECUTE ON FUNCTION zapier_webhook_allowance(text, integer, interval) TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('zapier-webhook-logs.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'df389d0fe598dd0388fc7c61d3dae40a49ad3fa233550acc53490a08116e6a88',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'zapier-webhook-logs.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'zapier-webhook-logs.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 26. drive-edit-approval-schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'drive-edit-approval-schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['c9cf95358fa8c127f26fdf63a6e7cbe189bab4d49af30fad2ee42110127af87b']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is c9cf95358fa8c127f26fdf63a6e7cbe189bab4d49af30fad2ee42110127af87b', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- drive-edit-approval-schema.sql
--
-- An edit of a Drive file is asked for, decided on by its person, and then made.
--
--   pending -> approved -> applying -> applied
--      |          |            '----> failed -> applying ...
--      |          |--> cancelled, expired         '--> cancelled
--      '--> rejected, cancelled, expired
--
-- What was shown is what is made: once a request is decided on, its content
-- stands still. Everything that happens to a request goes into
-- drive_edit_audit_log by trigger, and nothing there is ever changed. The
-- service writes both; people read what is theirs.

CREATE TABLE drive_edit_requests (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    conversation_id text,
    drive_file_id text NOT NULL,
    drive_file_name text,
    mime_type text,
    operation text NOT NULL DEFAULT 'update',
    summary text,
    base_revision_id text,
    original_content text,
    proposed_content text,
    diff text,
    changes jsonb NOT NULL DEFAULT '[]'::jsonb,
    result_revision_id text,
    status text NOT NULL DEFAULT 'pending',
    requested_by text,
    decided_by text,
    decided_at timestamptz,
    decision_note text,
    expires_at timestamptz,
    applied_at timestamptz,
    error_message text,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT drive_edit_requests_pkey PRIMARY KEY (id),
    CONSTRAINT drive_edit_requests_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT drive_edit_requests_conversation_id_fkey
        FOREIGN KEY (conversation_id) REFERENCES conversations (id) ON DELETE SET NULL,
    CONSTRAINT drive_edit_requests_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT drive_edit_requests_operation_check CHECK (operation IN (
        'create', 'update', 'append', 'rename', 'move', 'delete')),
    CONSTRAINT drive_edit_requests_status_check CHECK (status IN (
        'pending', 'approved', 'rejected', 'cancelled', 'expired', 'applying', 'applied', 'failed')),
    CONSTRAINT drive_edit_requests_changes_check CHECK (jsonb_typeof(changes) = 'array')
);

CREATE TABLE drive_edit_audit_log (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    request_id uuid NOT NULL,
    user_id text,
    action text NOT NULL DEFAULT 'changed',
    old_status text,
    new_status text,
    changed_columns text[] NOT NULL DEFAULT '{}',
    old_values jsonb NOT NULL DEFAULT '{}'::jsonb,
    new_values jsonb NOT NULL DEFAULT '{}'::jsonb,
    actor_id text,
    database_role text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT drive_edit_audit_log_pkey PRIMARY KEY (id),
    CONSTRAINT drive_edit_audit_log_action_check CHECK (action IN ('created', 'changed', 'deleted'))
);

CREATE INDEX idx_drive_edit_requests_user_id_created_at ON drive_edit_requests (user_id, created_at DESC);
CREATE INDEX idx_drive_edit_requests_conversation_id ON drive_edit_requests (conversation_id);
CREATE INDEX idx_drive_edit_requests_decided_by ON drive_edit_requests (decided_by);
CREATE INDEX idx_drive_edit_requests_drive_file_id_created_at ON drive_edit_requests (drive_file_id, created_at DESC);
-- What still waits: few rows of many.
CREATE INDEX idx_drive_edit_requests_pending ON drive_edit_requests (user_id, created_at) WHERE status = 'pending';
CREATE INDEX idx_drive_edit_requests_expires_at
    ON drive_edit_requests (expires_at) WHERE status IN ('pending', 'approved');
CREATE INDEX idx_drive_edit_audit_log_request_id ON drive_edit_audit_log (request_id, id);
CREATE INDEX idx_drive_edit_audit_log_user_id_created_at ON drive_edit_audit_log (user_id, created_at DESC);

COMMENT ON TABLE drive_edit_requests IS
    'Edits of Drive files that wait for approval, or went through it. '
    'The service writes it, a person reads their own.';
COMMENT ON COLUMN drive_edit_requests.user_id IS 'Whose file it is, and who decides.';
COMMENT ON COLUMN drive_edit_requests.conversation_id IS 'The conversation out of which the edit came.';
COMMENT ON COLUMN drive_edit_requests.summary IS 'The edit in a sentence, for the person who decides.';
COMMENT ON COLUMN drive_edit_requests.base_revision_id IS
    'The revision of the file that the edit starts from: '
    'where the file has a newer one, the edit must not be made blindly.';
COMMENT ON COLUMN drive_edit_requests.original_content IS 'The content before the edit.';
COMMENT ON COLUMN drive_edit_requests.proposed_content IS 'The content after it.';
COMMENT ON COLUMN drive_edit_requests.diff IS 'The difference of the two, as it is shown.';
COMMENT ON COLUMN drive_edit_requests.changes IS 'The edit as a list of single changes, where it is made of such.';
COMMENT ON COLUMN drive_edit_requests.result_revision_id IS 'The revision that the edit made.';
COMMENT ON COLUMN drive_edit_requests.status IS
    'Where the request stands; drive_edit_transition_allowed() knows what may follow.';
COMMENT ON COLUMN drive_edit_requests.requested_by IS 'Who or what asked for the edit, such as an agent.';
COMMENT ON COLUMN drive_edit_requests.decided_by IS 'Who approved or rejected it.';
COMMENT ON COLUMN drive_edit_requests.expires_at IS
    'After this it is not approved and not applied any more; NULL for never.';
COMMENT ON TABLE drive_edit_audit_log IS
    'What happened to each request, in order. '
    'Filled by a trigger, only ever added to, and kept when the request or the person is gone.';
COMMENT ON COLUMN drive_edit_audit_log.request_id IS 'The request; not a key, because the trail outlives it.';
COMMENT ON COLUMN drive_edit_audit_log.user_id IS
    'Whose request it was; not a key, because the trail outlives the person.';
COMMENT ON COLUMN drive_edit_audit_log.old_values IS
    'The changed columns as they were. Contents of files stand here as their SHA-256 only.';
COMMENT ON COLUMN drive_edit_audit_log.new_values IS
    'The changed columns as they became. Contents of files stand here as their SHA-256 only.';
COMMENT ON COLUMN drive_edit_audit_log.actor_id IS
    'Who did it: the caller''s identity, or the person whom the change itself names as the one who decided.';
COMMENT ON COLUMN drive_edit_audit_log.database_role IS 'The database role that did it.';

CREATE FUNCTION drive_edit_transition_allowed(from_status text, to_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
    SELECT coalesce(to_status = ANY (CASE from_status
        WHEN 'pending' THEN ARRAY['approved', 'rejected', 'cancelled', 'expired']
        WHEN 'approved' THEN ARRAY['applying', 'applied', 'failed', 'cancelled', 'expired']
        WHEN 'applying' THEN ARRAY['applied', 'failed']
        WHEN 'failed' THEN ARRAY['applying', 'cancelled']
    END), false)
$function$;
COMMENT ON FUNCTION drive_edit_transition_allowed(text, text) IS
    'Whether a request of one status may go to the other. Rejected, cancelled, expired and applied are the end.';

CREATE FUNCTION drive_edit_requests_guard() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'pending' THEN
            RAISE EXCEPTION 'a request begins as pending, not as %', NEW.status
                USING ERRCODE = 'check_violation', HINT = 'Insert it, let it be decided on, and change its status then.';
        END IF;
        RETURN NEW;
    END IF;

    IF (OLD.status <> 'pending' OR NEW.status <> 'pending')
       AND (NEW.user_id, NEW.drive_file_id, NEW.operation, NEW.base_revision_id, NEW.original_content, NEW.proposed_content, NEW.diff, NEW.changes)
           IS DISTINCT FROM
           (OLD.user_id, OLD.drive_file_id, OLD.operation, OLD.base_revision_id, OLD.original_content, OLD.proposed_content, OLD.diff, OLD.changes)
    THEN
        RAISE EXCEPTION 'request % was decided on as it was shown: what it edits cannot change any more', OLD.id
            USING ERRCODE = 'check_violation', HINT = 'Cancel it and make a new request.';
    END IF;

    IF NEW.status <> OLD.status THEN
        IF NOT drive_edit_transition_allowed(OLD.status, NEW.status) THEN
            RAISE EXCEPTION 'request % is %, which % does not follow', OLD.id, OLD.status, NEW.status
                USING ERRCODE = 'check_violation', HINT = 'drive_edit_transition_allowed() knows what may follow.';
        END IF;
        IF NEW.status IN ('approved', 'applying') AND NEW.expires_at <= now() THEN
            RAISE EXCEPTION 'request % expired at %', OLD.id, NEW.expires_at
                USING ERRCODE = 'check_violation', HINT = 'Let it expire and make a new request.';
        END IF;
        IF NEW.status IN ('approved', 'rejected') THEN
            IF NEW.decided_at IS NOT DISTINCT FROM OLD.decided_at THEN
                NEW.decided_at := now();
            END IF;
            IF NEW.decided_by IS NULL THEN
                SELECT person.id INTO NEW.decided_by FROM users AS person WHERE person.id = requesting_user_id();
            END IF;
        ELSIF NEW.status = 'applied' THEN
            NEW.applied_at := coalesce(NEW.applied_at, now());
            NEW.error_message := NULL;
        END IF;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION drive_edit_requests_guard() IS
    'Trigger: lets a request go from status to status as it may, '
    'keeps what was decided on as it was shown, and notes when and by whom.';

CREATE FUNCTION drive_edit_requests_record() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    before jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) - 'updated_at' END;
    after jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) - 'updated_at' END;
    content text;
    changed text[];
BEGIN
    -- Whole contents would make the trail as large as the files, and keep them for ever.
    FOREACH content IN ARRAY ARRAY['original_content', 'proposed_content', 'diff', 'changes']
    LOOP
        IF before ->> content IS NOT NULL THEN
            before := before || jsonb_build_object(content, 'sha256:' || encode(sha256(convert_to(before ->> content, 'UTF8')), 'hex'));
        END IF;
        IF after ->> content IS NOT NULL THEN
            after := after || jsonb_build_object(content, 'sha256:' || encode(sha256(convert_to(after ->> content, 'UTF8')), 'hex'));
        END IF;
    END LOOP;
    changed := ARRAY(
        SELECT key FROM jsonb_object_keys(before || after) AS key
        WHERE coalesce(before -> key, 'null') IS DISTINCT FROM coalesce(after -> key, 'null')
        ORDER BY key);
    IF cardinality(changed) > 0 THEN
        INSERT INTO drive_edit_audit_log (request_id, user_id, action, old_status, new_status, changed_columns, old_values, new_values, actor_id, database_role)
        VALUES (
            coalesce(after ->> 'id', before ->> 'id')::uuid,
            coalesce(after ->> 'user_id', before ->> 'user_id'),
            CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END,
            before ->> 'status',
            after ->> 'status',
            changed,
            coalesce((SELECT jsonb_object_agg(key, before -> key) FROM unnest(changed) AS key WHERE before ? key), '{}'),
            coalesce((SELECT jsonb_object_agg(key, after -> key) FROM unnest(changed) AS key WHERE after ? key), '{}'),
            coalesce(requesting_user_id(), CASE WHEN 'decided_by' = ANY (changed) THEN after ->> 'decided_by' END),
            current_user);
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION drive_edit_requests_record() IS
    'Trigger: writes what happened to a request into drive_edit_audit_log.';

CREATE FUNCTION drive_edit_audit_log_append_only() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    RAISE EXCEPTION 'drive_edit_audit_log is only ever added to'
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'An entry that is wrong is set right by another one.';
END
$function$;
COMMENT ON FUNCTION drive_edit_audit_log_append_only() IS
    'Trigger: refuses to change or delete an entry, and to empty the table, whoever asks.';

-- Row by row, so that the trail has an entry for each.
CREATE FUNCTION drive_edit_requests_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT SET row_security = off
AS $function$
BEGIN
    DELETE FROM drive_edit_requests;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION drive_edit_requests_truncate() IS
    'Trigger: a TRUNCATE of the requests, also of all that refers to their people, leaves its trail.';

-- How the service tidies up: nobody decides on what is over.
CREATE FUNCTION expire_drive_edit_requests() RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    expired integer;
BEGIN
    UPDATE drive_edit_requests SET status = 'expired'
    WHERE status IN ('pending', 'approved') AND expires_at <= now();
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN expired;
END
$function$;
COMMENT ON FUNCTION expire_drive_edit_requests() IS
    'Lets what is past its expires_at expire, and returns how many that were. For the service to call now and then.';

CREATE TRIGGER drive_edit_requests_guard
    BEFORE INSERT OR UPDATE ON drive_edit_requests
    FOR EACH ROW EXECUTE FUNCTION drive_edit_requests_guard();

CREATE TRIGGER drive_edit_requests_record
    AFTER INSERT OR UPDATE OR DELETE ON drive_edit_requests
    FOR EACH ROW EXECUTE FUNCTION drive_edit_requests_record();

CREATE TRIGGER drive_edit_requests_set_updated_at
    BEFORE UPDATE ON drive_edit_requests
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER drive_edit_audit_log_append_only
    BEFORE UPDATE OR DELETE ON drive_edit_audit_log
    FOR EACH ROW EXECUTE FUNCTION drive_edit_audit_log_append_only();

CREATE TRIGGER drive_edit_audit_log_append_only_truncate
    BEFORE TRUNCATE ON drive_edit_audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION drive_edit_audit_log_append_only();

CREATE TRIGGER drive_edit_requests_truncate
    BEFORE TRUNCATE ON drive_edit_requests
    FOR EACH STATEMENT EXECUTE FUNCTION drive_edit_requests_truncate();

ALTER TABLE drive_edit_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE drive_edit_audit_log ENABLE ROW LEVEL SECURITY;

CREATE POLICY drive_edit_requests_owner_read ON drive_edit_requests
    FOR SELECT USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY drive_edit_audit_log_owner_read ON drive_edit_audit_log
    FOR SELECT USING (user_id = (SELECT requesting_user_id()));
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People read what is theirs; the service writes both.
GRANT SELECT ON drive_edit_requests, drive_edit_audit_log TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON drive_edit_requests, drive_edit_audit_log TO service_role;
GRANT USAGE, SELECT ON SEQUENCE drive_edit_audit_log_id_seq TO service_role;
GRANT EXECUTE ON FUNCTION drive_edit_transition_allowed(text, text) TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION expire_drive_edit_requests() TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('drive-edit-approval-schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'c9cf95358fa8c127f26fdf63a6e7cbe189bab4d49af30fad2ee42110127af87b',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'drive-edit-approval-schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'drive-edit-approval-schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 27. indexing-state-schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'indexing-state-schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['cd030c09da2b981ab822488972714bab215b81cdf9a6c1176965da1cc9c6b59c']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is cd030c09da2b981ab822488972714bab215b81cdf9a6c1176965da1cc9c6b59c', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- indexing-state-schema.sql
--
-- How far the index of a person's Gmail and Drive has come: one row for each
-- person and source. The service writes it; people read their own.

CREATE TABLE indexing_state (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    source text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    last_cursor text,
    sync_token text,
    total_indexed integer NOT NULL DEFAULT 0,
    last_indexed_at timestamptz,
    last_sync_started_at timestamptz,
    last_sync_completed_at timestamptz,
    error_message text,
    error_count integer NOT NULL DEFAULT 0,
    last_error_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT indexing_state_pkey PRIMARY KEY (id),
    CONSTRAINT indexing_state_user_id_source_key UNIQUE (user_id, source),
    CONSTRAINT indexing_state_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT indexing_state_source_check CHECK (source IN ('drive', 'gmail')),
    CONSTRAINT indexing_state_status_check CHECK (status IN ('pending', 'in_progress', 'completed', 'error')),
    CONSTRAINT indexing_state_total_indexed_check CHECK (total_indexed >= 0),
    CONSTRAINT indexing_state_error_count_check CHECK (error_count >= 0)
);

-- The unique key serves user_id; these serve the overview and the retries.
CREATE INDEX idx_indexing_state_last_indexed_at ON indexing_state (last_indexed_at DESC);
CREATE INDEX idx_indexing_state_errors ON indexing_state (last_error_at) WHERE status = 'error';

COMMENT ON TABLE indexing_state IS
    'How far the index of a person''s Gmail and Drive has come. The service writes it, a person reads their own.';
COMMENT ON COLUMN indexing_state.last_cursor IS
    'Where the next run of a listing goes on: the page token, or history id, of the last one.';
COMMENT ON COLUMN indexing_state.sync_token IS
    'What the source gave to ask for changes since, where that is another thing than the cursor.';
COMMENT ON COLUMN indexing_state.last_indexed_at IS 'When something was indexed last.';
COMMENT ON COLUMN indexing_state.last_sync_started_at IS
    'When a run began last; noted where a statement sets the status and not this.';
COMMENT ON COLUMN indexing_state.last_sync_completed_at IS 'When a run ended well last; noted likewise.';
COMMENT ON COLUMN indexing_state.error_message IS 'What went wrong last; emptied by a run that ends well.';
COMMENT ON COLUMN indexing_state.error_count IS 'The errors since a run ended well.';
COMMENT ON COLUMN indexing_state.last_error_at IS 'When a run ended in an error last.';

-- The application sets the status; what follows from it is filled in, unless
-- the statement says it itself.
CREATE FUNCTION indexing_state_track_sync() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    former indexing_state;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        former := OLD;
    ELSE
        former.error_count := 0;
    END IF;
    IF NEW.status = 'in_progress' THEN
        IF former.status IS DISTINCT FROM 'in_progress' AND NEW.last_sync_started_at IS NOT DISTINCT FROM former.last_sync_started_at THEN
            NEW.last_sync_started_at := now();
        END IF;
    ELSIF NEW.status = 'completed' THEN
        IF NEW.last_sync_completed_at IS NOT DISTINCT FROM former.last_sync_completed_at THEN
            NEW.last_sync_completed_at := now();
        END IF;
        IF NEW.error_count IS NOT DISTINCT FROM former.error_count THEN
            NEW.error_count := 0;
        END IF;
        IF NEW.error_message IS NOT DISTINCT FROM former.error_message THEN
            NEW.error_message := NULL;
        END IF;
    ELSIF NEW.status = 'error' THEN
        IF NEW.last_error_at IS NOT DISTINCT FROM former.last_error_at THEN
            NEW.last_error_at := now();
        END IF;
        IF NEW.error_count IS NOT DISTINCT FROM former.error_count THEN
            NEW.error_count := former.error_count + 1;
        END IF;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION indexing_state_track_sync() IS
    'Trigger: from the status that a statement sets, notes when a run began, '
    'ended or failed, and counts the errors since one ended well.';

CREATE TRIGGER indexing_state_set_updated_at
    BEFORE UPDATE ON indexing_state
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TRIGGER indexing_state_track_sync
    BEFORE INSERT OR UPDATE OF status ON indexing_state
    FOR EACH ROW EXECUTE FUNCTION indexing_state_track_sync();

ALTER TABLE indexing_state ENABLE ROW LEVEL SECURITY;

CREATE POLICY indexing_state_owner_read ON indexing_state
    FOR SELECT USING (user_id = (SELECT requesting_user_id()));
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People read their own; the service writes.
GRANT SELECT ON indexing_state TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON indexing_state TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('indexing-state-schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'cd030c09da2b981ab822488972714bab215b81cdf9a6c1176965da1cc9c6b59c',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'indexing-state-schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'indexing-state-schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 12

-- 28. device-continuity.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'device-continuity.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['1b8cee905edcb549ce125745767f8fbbf4d1362cf8613f361555b6aa62e26b62']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 1b8cee905edcb549ce125745767f8fbbf4d1362cf8613f361555b6aa62e26b62', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
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
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People read and write their own rows from their devices.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON devices, device_context, device_sync_queue, device_context_conflicts
    TO authenticated, service_role;
GRANT EXECUTE
    ON FUNCTION
        save_device_context(text, jsonb, bigint, timestamptz, text),
        sync_device_context(text, text),
        merge_device_context(text, jsonb, jsonb, bigint, boolean),
        claim_device_sync(text, integer)
    TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('device-continuity.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '1b8cee905edcb549ce125745767f8fbbf4d1362cf8613f361555b6aa62e26b62',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'device-continuity.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'device-continuity.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 13

-- 29. autonomous-agent-schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'autonomous-agent-schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['dae058dbf7f159ca692bcfadec5c89ed088d9d14e2fb5eafff47b9e629464d54']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is dae058dbf7f159ca692bcfadec5c89ed088d9d14e2fb5eafff47b9e629464d54', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- autonomous-agent-schema.sql
--
-- What the agent is to do (agent_tasks, a queue by priority and time), what it
-- found (agent_findings), and what it did (agent_execution_log, filled by a
-- trigger). For the service alone: no policy, and no grant to people.

CREATE TABLE agent_tasks (
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
    timezone text NOT NULL DEFAULT 'UTC',
    recurs_since timestamptz,
    recurrence_slot timestamptz,
    recurs_from uuid,
    started_at timestamptz,
    lease_until timestamptz,
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
    CONSTRAINT agent_tasks_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT agent_tasks_recurs_from_fkey FOREIGN KEY (recurs_from) REFERENCES agent_tasks (id) ON DELETE SET NULL,
    CONSTRAINT agent_tasks_task_type_check CHECK (task_type IN (
        'analyze_logs', 'code_cleanup', 'dependency_update', 'documentation_update', 'fix_bugs', 'general',
        'monitor_errors', 'optimize_performance', 'run_tests', 'security_scan')),
    CONSTRAINT agent_tasks_status_check CHECK (status IN ('pending', 'in_progress', 'completed', 'failed', 'skipped')),
    CONSTRAINT agent_tasks_duration_ms_check CHECK (duration_ms >= 0),
    CONSTRAINT agent_tasks_attempts_check CHECK (attempts >= 0),
    CONSTRAINT agent_tasks_max_attempts_check CHECK (max_attempts >= 0)
);

CREATE TABLE agent_findings (
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
    impact_score numeric(4,2),
    affected_users integer,
    user_id text,
    is_active boolean DEFAULT true,
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT agent_findings_pkey PRIMARY KEY (id),
    CONSTRAINT agent_findings_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT agent_findings_related_task_id_fkey FOREIGN KEY (related_task_id) REFERENCES agent_tasks (id),
    CONSTRAINT agent_findings_finding_type_check CHECK (finding_type IN (
        'bug', 'error', 'improvement', 'insight', 'optimization', 'performance', 'security',
        'warning')),
    CONSTRAINT agent_findings_severity_check CHECK (severity IN ('critical', 'high', 'medium', 'low', 'info')),
    CONSTRAINT agent_findings_status_check CHECK (status IN (
        'open', 'investigating', 'fixed', 'wont_fix', 'false_positive')),
    CONSTRAINT agent_findings_impact_score_check CHECK (impact_score BETWEEN 0 AND 10),
    CONSTRAINT agent_findings_affected_users_check CHECK (affected_users >= 0)
);

CREATE TABLE agent_execution_log (
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
    CONSTRAINT agent_execution_log_task_id_fkey FOREIGN KEY (task_id) REFERENCES agent_tasks (id) ON DELETE SET NULL,
    CONSTRAINT agent_execution_log_level_check CHECK (level IN ('debug', 'info', 'warning', 'error')),
    CONSTRAINT agent_execution_log_attempt_check CHECK (attempt >= 0),
    CONSTRAINT agent_execution_log_duration_ms_check CHECK (duration_ms >= 0)
);

-- What claim_agent_task() looks through, in its order: few rows of many.
CREATE INDEX idx_agent_tasks_due
    ON agent_tasks (priority DESC, scheduled_for NULLS FIRST, created_at) WHERE status IN ('pending', 'in_progress');
-- What fail_silent_agent_tasks() looks for each time: hardly ever a row.
CREATE INDEX idx_agent_tasks_no_attempt_left
    ON agent_tasks (lease_until) WHERE status IN ('pending', 'in_progress') AND attempts >= max_attempts;
CREATE INDEX idx_agent_tasks_status_created_at ON agent_tasks (status, created_at DESC);
CREATE INDEX idx_agent_tasks_task_type_created_at ON agent_tasks (task_type, created_at DESC);
CREATE INDEX idx_agent_tasks_completed_at ON agent_tasks (completed_at DESC);
CREATE INDEX idx_agent_tasks_user_id_created_at ON agent_tasks (user_id, created_at DESC);
CREATE INDEX idx_agent_findings_status_detected_at ON agent_findings (status, detected_at DESC);
CREATE INDEX idx_agent_findings_finding_type_detected_at ON agent_findings (finding_type, detected_at DESC);
CREATE INDEX idx_agent_findings_severity_detected_at ON agent_findings (severity, detected_at DESC);
CREATE INDEX idx_agent_findings_detected_at ON agent_findings (detected_at DESC);
CREATE INDEX idx_agent_findings_detection_method ON agent_findings (detection_method, detected_at DESC);
CREATE INDEX idx_agent_findings_title ON agent_findings (title);
CREATE INDEX idx_agent_findings_related_task_id ON agent_findings (related_task_id);
CREATE INDEX idx_agent_findings_user_id_created_at ON agent_findings (user_id, created_at DESC);
CREATE INDEX idx_agent_execution_log_task_id_created_at ON agent_execution_log (task_id, created_at);
CREATE INDEX idx_agent_execution_log_created_at ON agent_execution_log (created_at DESC);

COMMENT ON TABLE agent_tasks IS 'What the agent is to do: a queue by priority and time. For the service alone.';
COMMENT ON COLUMN agent_tasks.priority IS 'The greater, the sooner.';
COMMENT ON COLUMN agent_tasks.scheduled_for IS 'Not to be begun before this; NULL for at once.';
COMMENT ON COLUMN agent_tasks.recurrence IS
    'How often, as read_schedule() reads it: daily, every 15 minutes, every monday at 09:00, a cron line, '
    'or a period of ISO 8601; NULL for once. Others are refused. However a run ends, the next one is queued.';
COMMENT ON COLUMN agent_tasks.timezone IS 'By which clock the recurrence goes.';
COMMENT ON COLUMN agent_tasks.recurs_since IS
    'The first slot of the recurrence, from which all others are counted. Where scheduled_for of the first run moves, it moves along.';
COMMENT ON COLUMN agent_tasks.recurrence_slot IS
    'The slot that this run is of. A run that is tried again has a later scheduled_for, and the same slot.';
COMMENT ON COLUMN agent_tasks.recurs_from IS 'The task of which this one is the next run.';
COMMENT ON COLUMN agent_tasks.lease_until IS
    'Until when its agent is taken to be at work; renew_agent_task() moves it. '
    'An hour where a statement sets the status and not this.';
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
COMMENT ON COLUMN agent_findings.impact_score IS 'How much it matters, from 0 to 10.';
COMMENT ON COLUMN agent_findings.user_id IS 'The person whom it concerns, where it concerns one.';
COMMENT ON TABLE agent_execution_log IS
    'What the agent did, in order. A trigger writes every step of a task; '
    'the agent adds what it likes. For the service alone.';
COMMENT ON COLUMN agent_execution_log.task_id IS 'The task; NULL where it is gone.';
COMMENT ON COLUMN agent_execution_log.event IS
    'created and the statuses of a task by the trigger (pending for one to be tried again); '
    'other words are the agent''s.';
COMMENT ON COLUMN agent_execution_log.attempt IS 'Which attempt of the task it was.';

CREATE FUNCTION agent_tasks_plan() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    former agent_tasks;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        former := OLD;
    END IF;
    IF lower(btrim(NEW.recurrence)) IN ('', 'once', 'none', 'never') THEN
        NEW.recurrence := NULL;
    END IF;

    IF NEW.status = 'in_progress' AND former.status IS DISTINCT FROM 'in_progress' AND NEW.lease_until IS NOT DISTINCT FROM former.lease_until THEN
        NEW.lease_until := clock_timestamp() + interval '1 hour';
    ELSIF NEW.status <> 'in_progress' THEN
        NEW.lease_until := NULL;
    END IF;

    IF (NEW.recurrence, NEW.timezone) IS DISTINCT FROM (former.recurrence, former.timezone) THEN
        PERFORM check_schedule(NEW.recurrence, NEW.timezone);
        IF NEW.recurrence IS NULL THEN
            NEW.recurs_since := NULL;
            NEW.recurrence_slot := NULL;
        ELSIF NEW.recurs_since IS NOT DISTINCT FROM former.recurs_since THEN
            -- A period begins at once; a schedule that names its times waits for the first of them.
            IF NEW.status = 'pending' AND NEW.scheduled_for IS NOT DISTINCT FROM former.scheduled_for
               AND (read_schedule(NEW.recurrence)).step IS NULL THEN
                NEW.scheduled_for := next_scheduled(NEW.recurrence, clock_timestamp(), NEW.timezone);
            END IF;
            NEW.recurs_since := coalesce(NEW.scheduled_for, NEW.started_at, clock_timestamp());
            NEW.recurrence_slot := NEW.recurs_since;
        END IF;
    ELSIF NEW.recurrence IS NOT NULL AND NEW.recurs_from IS NULL AND NEW.status = 'pending' AND former.attempts = 0 AND NEW.attempts = 0
          AND NEW.scheduled_for <> coalesce(former.scheduled_for, '-infinity') AND NEW.recurs_since IS NOT DISTINCT FROM former.recurs_since THEN
        NEW.recurs_since := NEW.scheduled_for;
        NEW.recurrence_slot := NEW.scheduled_for;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION agent_tasks_plan() IS
    'Trigger: refuses a recurrence that is not understood, notes the slot of a run, and gives a lease to a task that is begun.';

CREATE FUNCTION agent_tasks_schedule_next() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    since constant timestamptz := coalesce(NEW.recurs_since, NEW.scheduled_for, NEW.started_at, NEW.created_at);
    slot timestamptz;
    problem text;
BEGIN
    -- Slots that passed meanwhile are left out.
    BEGIN
        slot := next_scheduled(NEW.recurrence, greatest(coalesce(NEW.recurrence_slot, since), clock_timestamp()), NEW.timezone, since);
    EXCEPTION WHEN data_exception THEN
        problem := SQLERRM;
    END;
    IF slot IS NULL THEN
        INSERT INTO agent_execution_log (task_id, task_type, event, level, message)
        VALUES (NEW.id, NEW.task_type, 'recurrence_ended', 'error', coalesce(problem, format('the schedule "%s" has no further slot', NEW.recurrence)));
        RETURN NULL;
    END IF;
    INSERT INTO agent_tasks (task_type, priority, title, description, file_paths, metadata, scheduled_for, recurrence, timezone, recurs_since,
                             recurrence_slot, recurs_from, max_attempts, user_id, created_by, is_active)
    VALUES (NEW.task_type, NEW.priority, NEW.title, NEW.description, NEW.file_paths, NEW.metadata, slot, NEW.recurrence, NEW.timezone, since,
            slot, NEW.id, NEW.max_attempts, NEW.user_id, NEW.created_by, NEW.is_active)
    ON CONFLICT (recurs_from) DO NOTHING;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION agent_tasks_schedule_next() IS
    'Trigger: of a task that recurs queues the next run, whoever ends it and however it ends. '
    'A recurrence that cannot go on is an error in agent_execution_log.';

CREATE FUNCTION fail_silent_agent_tasks() RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    failed integer;
BEGIN
    UPDATE agent_tasks AS task
    SET status = 'failed',
        completed_at = clock_timestamp(),
        duration_ms = CASE WHEN task.status = 'in_progress'
            THEN least(extract(epoch FROM clock_timestamp() - task.started_at) * 1000, 2147483647)::integer ELSE task.duration_ms END,
        error_message = CASE WHEN task.status = 'in_progress'
            THEN format('its agent went silent in attempt %s of %s', task.attempts, task.max_attempts)
            ELSE coalesce(task.error_message, format('%s of %s attempts were made', task.attempts, task.max_attempts)) END
    WHERE task.id IN (
        SELECT over.id
        FROM agent_tasks AS over
        WHERE over.status IN ('pending', 'in_progress') AND over.attempts >= over.max_attempts
          AND CASE WHEN over.status = 'in_progress'
                   THEN coalesce(over.lease_until, over.updated_at + interval '1 hour') < clock_timestamp()
                   ELSE over.is_active IS NOT FALSE AND coalesce(over.scheduled_for, '-infinity') <= clock_timestamp() END
        FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS failed = ROW_COUNT;
    RETURN failed;
END
$function$;
COMMENT ON FUNCTION fail_silent_agent_tasks() IS
    'Ends as failed what has no attempt left and nobody at work: its lease is over, or it waits for an attempt that will not come. '
    'Returns how many. claim_agent_task() does it first.';

CREATE FUNCTION claim_agent_task(
    wanted_types text[] DEFAULT NULL,
    lease interval DEFAULT '15 minutes')
RETURNS SETOF agent_tasks
LANGUAGE plpgsql VOLATILE SECURITY INVOKER ROWS 1 SET search_path FROM CURRENT
AS $function$
BEGIN
    IF (lease > interval '0') IS NOT TRUE THEN
        RAISE EXCEPTION 'a lease must be longer than nothing' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM fail_silent_agent_tasks();
    -- SKIP LOCKED: of many who ask at once each gets another task, and nobody waits.
    RETURN QUERY
        UPDATE agent_tasks AS task
        SET status = 'in_progress', started_at = clock_timestamp(), lease_until = clock_timestamp() + lease, completed_at = NULL,
            attempts = task.attempts + 1
        WHERE task.id = (
            SELECT due.id
            FROM agent_tasks AS due
            WHERE due.status IN ('pending', 'in_progress')
              AND (due.status = 'pending' OR coalesce(due.lease_until, due.updated_at + interval '1 hour') < clock_timestamp())
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
    'Takes the next due task, by priority, then time, and returns it as in_progress; no row where nothing is due. '
    'Who works longer than the lease renews it; whose lease is over has lost the task to the next who asks.';

CREATE FUNCTION agent_task_at_work(task_id uuid, of_attempt integer) RETURNS agent_tasks
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    task agent_tasks;
BEGIN
    SELECT * INTO task FROM agent_tasks AS own WHERE own.id = task_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no task %', task_id USING ERRCODE = 'no_data_found';
    END IF;
    IF task.status <> 'in_progress' THEN
        RAISE EXCEPTION 'task % is %, not in_progress', task_id, task.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take it with claim_agent_task() first.';
    END IF;
    IF of_attempt <> task.attempts THEN
        RAISE EXCEPTION 'task % is in attempt %, attempt % is over', task_id, task.attempts, of_attempt
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Its lease was over, and another agent has it.';
    END IF;
    RETURN task;
END
$function$;
COMMENT ON FUNCTION agent_task_at_work(uuid, integer) IS
    'Locks a task that is in progress, in that attempt where one is given, and returns it; else an error. '
    'What renew_agent_task() and finish_agent_task() share.';

CREATE FUNCTION renew_agent_task(task_id uuid, of_attempt integer DEFAULT NULL, lease interval DEFAULT '15 minutes') RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    renewed timestamptz;
BEGIN
    PERFORM agent_task_at_work(task_id, of_attempt);
    UPDATE agent_tasks AS own SET lease_until = clock_timestamp() + lease WHERE own.id = task_id RETURNING own.lease_until INTO renewed;
    RETURN renewed;
END
$function$;
COMMENT ON FUNCTION renew_agent_task(uuid, integer, interval) IS
    'Says that the agent of a task is at work, and returns until when that is believed.';

CREATE FUNCTION finish_agent_task(
    task_id uuid,
    outcome text,
    task_result text DEFAULT NULL,
    task_error text DEFAULT NULL,
    task_changes text[] DEFAULT NULL,
    of_attempt integer DEFAULT NULL)
RETURNS agent_tasks
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    task agent_tasks;
    again boolean;
BEGIN
    IF outcome IS NULL OR outcome NOT IN ('completed', 'failed', 'skipped') THEN
        RAISE EXCEPTION 'a task ends as completed, failed or skipped, not as %', coalesce(outcome, 'NULL')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    task := agent_task_at_work(task_id, of_attempt);
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
    WHERE own.id = task_id
    RETURNING * INTO task;
    RETURN task;
END
$function$;
COMMENT ON FUNCTION finish_agent_task(uuid, text, text, text, text[], integer) IS
    'Ends a task that was taken: completed, failed (then it waits to be tried again, max_attempts times) or skipped. '
    'With of_attempt, the attempts that claim_agent_task() returned, only by the agent that has it. Returns the task as it is then.';

CREATE FUNCTION agent_tasks_record_execution() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
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
COMMENT ON FUNCTION agent_tasks_record_execution() IS
    'Trigger: writes each step of a task into agent_execution_log, whoever makes it.';

CREATE TRIGGER agent_tasks_plan
    BEFORE INSERT OR UPDATE OF status, scheduled_for, recurrence, timezone ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION agent_tasks_plan();

-- After agent_tasks_record_execution, by its name: a run ends before the next one is queued.
CREATE TRIGGER agent_tasks_schedule_next
    AFTER UPDATE OF status ON agent_tasks
    FOR EACH ROW WHEN (
        NEW.recurrence IS NOT NULL
        AND NEW.status IN ('completed', 'failed', 'skipped') AND OLD.status NOT IN ('completed', 'failed', 'skipped'))
    EXECUTE FUNCTION agent_tasks_schedule_next();

CREATE TRIGGER agent_tasks_record_execution
    AFTER INSERT OR UPDATE OF status, attempts ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION agent_tasks_record_execution();

CREATE TRIGGER agent_tasks_set_updated_at
    BEFORE UPDATE ON agent_tasks
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER agent_findings_set_updated_at
    BEFORE UPDATE ON agent_findings
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE agent_tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_execution_log ENABLE ROW LEVEL SECURITY;
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- For the service alone.
GRANT SELECT, INSERT, UPDATE, DELETE ON agent_tasks, agent_findings, agent_execution_log TO service_role;
GRANT USAGE, SELECT ON SEQUENCE agent_execution_log_id_seq TO service_role;
GRANT EXECUTE
    ON FUNCTION
        fail_silent_agent_tasks(),
        claim_agent_task(text[], interval),
        agent_task_at_work(uuid, integer),
        renew_agent_task(uuid, integer, interval),
        finish_agent_task(uuid, text, text, text, text[], integer)
    TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('autonomous-agent-schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'dae058dbf7f159ca692bcfadec5c89ed088d9d14e2fb5eafff47b9e629464d54',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'autonomous-agent-schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'autonomous-agent-schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 14

-- 30. workflow_automation_schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'workflow_automation_schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['bb8084632e49a30d647e173eade42cf092a1eedcdb1530e37df88348a18f16e7']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is bb8084632e49a30d647e173eade42cf092a1eedcdb1530e37df88348a18f16e7', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
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
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People write their workflows, and read how the runs went.
GRANT SELECT, INSERT, UPDATE, DELETE ON workflows, workflow_triggers, workflow_actions TO authenticated;
GRANT SELECT ON workflow_executions TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON workflows, workflow_executions, workflow_triggers, workflow_actions
    TO service_role;
GRANT EXECUTE
    ON FUNCTION workflow_trigger_next_run(text, timestamptz, text, timestamptz, timestamptz)
    TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION claim_workflow_triggers(integer) TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('workflow_automation_schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'bb8084632e49a30d647e173eade42cf092a1eedcdb1530e37df88348a18f16e7',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'workflow_automation_schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'workflow_automation_schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 15

-- 31. chatgpt-import-schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'chatgpt-import-schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['92be8c7bfa3e39dbe69898fe85e247ea9d9ebb67acfaeaecf1d738b7d1ed0dfd']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 92be8c7bfa3e39dbe69898fe85e247ea9d9ebb67acfaeaecf1d738b7d1ed0dfd', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- chatgpt-import-schema.sql
--
-- Conversations that came from an export of ChatGPT: the import, its
-- conversations, their messages, and which conversation of KimbleAI goes on
-- with one. A conversation has an owner; its messages are reached through it.

CREATE TABLE chatgpt_imports (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    filename text,
    file_size bigint,
    drive_file_id text,
    status text NOT NULL DEFAULT 'pending',
    conversation_count integer NOT NULL DEFAULT 0,
    message_count integer NOT NULL DEFAULT 0,
    skipped_count integer NOT NULL DEFAULT 0,
    error_message text,
    started_at timestamptz,
    completed_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chatgpt_imports_pkey PRIMARY KEY (id),
    CONSTRAINT chatgpt_imports_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_imports_status_check CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    CONSTRAINT chatgpt_imports_file_size_check CHECK (file_size >= 0),
    CONSTRAINT chatgpt_imports_conversation_count_check CHECK (conversation_count >= 0),
    CONSTRAINT chatgpt_imports_message_count_check CHECK (message_count >= 0),
    CONSTRAINT chatgpt_imports_skipped_count_check CHECK (skipped_count >= 0)
);

CREATE TABLE chatgpt_conversations (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text NOT NULL,
    import_id uuid,
    kimbleai_conversation_id text,
    title text,
    create_time bigint,
    update_time bigint,
    message_count integer DEFAULT 0,
    full_text text,
    embedding vector(1536),
    drive_file_id text,
    import_date timestamptz NOT NULL DEFAULT now(),
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chatgpt_conversations_pkey PRIMARY KEY (id),
    CONSTRAINT chatgpt_conversations_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_conversations_import_id_fkey
        FOREIGN KEY (import_id) REFERENCES chatgpt_imports (id) ON DELETE SET NULL,
    CONSTRAINT chatgpt_conversations_kimbleai_conversation_id_fkey
        FOREIGN KEY (kimbleai_conversation_id) REFERENCES conversations (id) ON DELETE SET NULL,
    CONSTRAINT chatgpt_conversations_message_count_check CHECK (message_count >= 0)
);

CREATE TABLE chatgpt_messages (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    conversation_id text NOT NULL,
    user_id text,
    role text NOT NULL,
    content text NOT NULL,
    create_time bigint,
    parent_id text,
    "position" integer DEFAULT 0,
    embedding vector(1536),
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chatgpt_messages_pkey PRIMARY KEY (id),
    CONSTRAINT chatgpt_messages_conversation_id_fkey
        FOREIGN KEY (conversation_id) REFERENCES chatgpt_conversations (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_messages_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_messages_position_check CHECK ("position" >= 0)
);

CREATE INDEX idx_chatgpt_imports_user_id_created_at ON chatgpt_imports (user_id, created_at DESC);
CREATE INDEX idx_chatgpt_conversations_user_id_create_time ON chatgpt_conversations (user_id, create_time DESC);
CREATE INDEX idx_chatgpt_conversations_import_id ON chatgpt_conversations (import_id);
CREATE INDEX idx_chatgpt_conversations_kimbleai_conversation_id ON chatgpt_conversations (kimbleai_conversation_id);
CREATE INDEX idx_chatgpt_messages_conversation_id_position ON chatgpt_messages (conversation_id, "position");
CREATE INDEX idx_chatgpt_messages_user_id ON chatgpt_messages (user_id);
-- A text of many million characters has more words than a tsvector holds (1 MB),
-- and could not be stored at all: its first 200,000 characters are indexed.
CREATE INDEX idx_chatgpt_conversations_text ON chatgpt_conversations
    USING gin (to_tsvector('english', left(coalesce(title, '') || ' ' || coalesce(full_text, ''), 200000)));
CREATE INDEX idx_chatgpt_messages_text ON chatgpt_messages USING gin (to_tsvector('english', left(content, 200000)));
CREATE INDEX idx_chatgpt_conversations_embedding ON chatgpt_conversations USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_chatgpt_messages_embedding ON chatgpt_messages USING hnsw (embedding vector_cosine_ops);

COMMENT ON TABLE chatgpt_imports IS 'Exports of ChatGPT that people brought: one row for each file.';
COMMENT ON COLUMN chatgpt_imports.drive_file_id IS 'The file in Drive, where it is kept there.';
COMMENT ON COLUMN chatgpt_imports.conversation_count IS 'The conversations that were imported.';
COMMENT ON COLUMN chatgpt_imports.message_count IS 'The messages that were imported.';
COMMENT ON COLUMN chatgpt_imports.skipped_count IS 'The conversations that were there already.';
COMMENT ON TABLE chatgpt_conversations IS 'Conversations from an export of ChatGPT.';
COMMENT ON COLUMN chatgpt_conversations.id IS 'The id that ChatGPT gave.';
COMMENT ON COLUMN chatgpt_conversations.import_id IS 'The import that brought it.';
COMMENT ON COLUMN chatgpt_conversations.kimbleai_conversation_id IS
    'The conversation of KimbleAI that goes on with it; NULL for none.';
COMMENT ON COLUMN chatgpt_conversations.create_time IS 'When it began: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_conversations.update_time IS 'When it went on last: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_conversations.full_text IS 'All its messages as one text, to be searched.';
COMMENT ON COLUMN chatgpt_conversations.embedding IS 'Its meaning, for search by cosine distance.';
COMMENT ON COLUMN chatgpt_conversations.drive_file_id IS 'Its file in Drive, where it is kept there.';
COMMENT ON TABLE chatgpt_messages IS 'Messages of such conversations; reached through their conversation.';
COMMENT ON COLUMN chatgpt_messages.id IS 'The id that ChatGPT gave.';
COMMENT ON COLUMN chatgpt_messages.role IS
    'Who speaks, in the export''s words, such as user, assistant, system or tool.';
COMMENT ON COLUMN chatgpt_messages.create_time IS 'When it was said: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_messages.parent_id IS
    'The message before it; '
    'not a key, because an export has parents that are no messages, and children before their parents.';
COMMENT ON COLUMN chatgpt_messages."position" IS 'Its place in the conversation.';
COMMENT ON COLUMN chatgpt_messages.embedding IS 'Its meaning, for search by cosine distance.';

CREATE TRIGGER chatgpt_imports_set_updated_at
    BEFORE UPDATE ON chatgpt_imports
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER chatgpt_conversations_set_updated_at
    BEFORE UPDATE ON chatgpt_conversations
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- As track_embedding() of supabase-semantic-search-schema.sql does it for the other tables; where that was not
-- applied there is nothing to keep.
CREATE FUNCTION chatgpt_track_embedding() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
BEGIN
    IF to_regclass('semantic_search_metadata') IS NULL THEN
        RETURN NULL;
    ELSIF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        DELETE FROM semantic_search_metadata AS known
        WHERE known.source_table = TG_TABLE_NAME AND (TG_OP = 'TRUNCATE' OR known.source_id = OLD.id);
    ELSIF TG_TABLE_NAME = 'chatgpt_messages' THEN
        PERFORM note_embedding(
            TG_TABLE_NAME, NEW.id, (SELECT c.user_id FROM chatgpt_conversations AS c WHERE c.id = NEW.conversation_id),
            OLD.content, NEW.content, OLD.embedding, NEW.embedding);
    ELSE
        PERFORM note_embedding(
            TG_TABLE_NAME, NEW.id, NEW.user_id,
            concat_ws(E'\n', OLD.title, OLD.full_text), concat_ws(E'\n', NEW.title, NEW.full_text), OLD.embedding, NEW.embedding);
        IF NEW.user_id <> OLD.user_id THEN
            UPDATE semantic_search_metadata AS known SET user_id = NEW.user_id
            FROM chatgpt_messages AS m
            WHERE m.conversation_id = NEW.id AND known.source_table = 'chatgpt_messages' AND known.source_id = m.id;
        END IF;
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION chatgpt_track_embedding() IS
    'Trigger: keeps semantic_search_metadata, where it is there, for what was imported.';

CREATE TRIGGER chatgpt_conversations_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, title, full_text, embedding ON chatgpt_conversations
    FOR EACH ROW EXECUTE FUNCTION chatgpt_track_embedding();
CREATE TRIGGER chatgpt_conversations_track_embedding_truncate AFTER TRUNCATE ON chatgpt_conversations
    FOR EACH STATEMENT EXECUTE FUNCTION chatgpt_track_embedding();
CREATE TRIGGER chatgpt_messages_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF conversation_id, content, embedding ON chatgpt_messages
    FOR EACH ROW EXECUTE FUNCTION chatgpt_track_embedding();
CREATE TRIGGER chatgpt_messages_track_embedding_truncate AFTER TRUNCATE ON chatgpt_messages
    FOR EACH STATEMENT EXECUTE FUNCTION chatgpt_track_embedding();

ALTER TABLE chatgpt_imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatgpt_conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatgpt_messages ENABLE ROW LEVEL SECURITY;

CREATE POLICY chatgpt_imports_owner ON chatgpt_imports
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY chatgpt_conversations_owner ON chatgpt_conversations
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (
        user_id = (SELECT requesting_user_id())
        AND (import_id IS NULL OR EXISTS (
            SELECT FROM chatgpt_imports AS i
            WHERE i.id = chatgpt_conversations.import_id AND i.user_id = (SELECT requesting_user_id())))
        AND (kimbleai_conversation_id IS NULL OR EXISTS (
            SELECT FROM conversations AS c
            WHERE c.id = chatgpt_conversations.kimbleai_conversation_id
              AND c.user_id = (SELECT requesting_user_id()))));
CREATE POLICY chatgpt_messages_owner ON chatgpt_messages
    USING (EXISTS (
        SELECT FROM chatgpt_conversations AS c
        WHERE c.id = chatgpt_messages.conversation_id AND c.user_id = (SELECT requesting_user_id())))
    WITH CHECK (
        EXISTS (
            SELECT FROM chatgpt_conversations AS c
            WHERE c.id = chatgpt_messages.conversation_id AND c.user_id = (SELECT requesting_user_id()))
        AND (user_id IS NULL OR user_id = (SELECT requesting_user_id())));

CREATE FUNCTION search_chatgpt(search_text text, match_count integer DEFAULT 20)
RETURNS TABLE (
    conversation_id text,
    title text,
    message_id text,
    role text,
    excerpt text,
    score real)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $function$
DECLARE
    query tsquery := websearch_to_tsquery('english', search_text);
BEGIN
    -- A conversation that has the words in its title or its whole text counts as
    -- itself (message_id is NULL) where none of its messages has them all.
    RETURN QUERY
        WITH said AS (
            SELECT chat.id AS chat_id, chat.title AS chat_title, message.id AS said_id, message.role AS said_role, message.content AS words,
                   ts_rank(to_tsvector('english', left(message.content, 200000)), query) AS rank
            FROM chatgpt_messages AS message
            JOIN chatgpt_conversations AS chat ON chat.id = message.conversation_id
            WHERE to_tsvector('english', left(message.content, 200000)) @@ query
        ), meant AS (
            SELECT chat.id AS chat_id, chat.title AS chat_title, chat.full_text AS words,
                   ts_rank(to_tsvector('english', left(coalesce(chat.title, '') || ' ' || coalesce(chat.full_text, ''), 200000)), query) AS rank
            FROM chatgpt_conversations AS chat
            WHERE to_tsvector('english', left(coalesce(chat.title, '') || ' ' || coalesce(chat.full_text, ''), 200000)) @@ query
              AND NOT EXISTS (SELECT FROM said WHERE said.chat_id = chat.id)
        ), best AS (
            SELECT said.chat_id, said.chat_title, said.said_id, said.said_role, said.words, said.rank FROM said
            UNION ALL
            SELECT meant.chat_id, meant.chat_title, NULL, NULL, meant.words, meant.rank FROM meant
            ORDER BY rank DESC, chat_id, said_id
            LIMIT match_count
        )
        SELECT best.chat_id, best.chat_title, best.said_id, best.said_role,
               ts_headline('english', left(coalesce(best.words, best.chat_title), 200000), query, 'MaxWords=40, MinWords=15'),
               best.rank
        FROM best
        ORDER BY best.rank DESC, best.chat_id, best.said_id;
END
$function$;
COMMENT ON FUNCTION search_chatgpt(text, integer) IS
    'The imported messages, and conversations, that hold the words of search_text (as in a search engine: '
    '"a phrase", or, -not), the best first, as far as the caller may see them. '
    'The excerpt marks what was found with <b>, and is not escaped otherwise.';
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- People import, read and delete what is theirs.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON chatgpt_imports, chatgpt_conversations, chatgpt_messages
    TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION search_chatgpt(text, integer) TO authenticated, service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('chatgpt-import-schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '92be8c7bfa3e39dbe69898fe85e247ea9d9ebb67acfaeaecf1d738b7d1ed0dfd',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'chatgpt-import-schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'chatgpt-import-schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 16

-- 32. api-logs-table.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'api-logs-table.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['7f26922486c57efe5d6d6e2b3a5ec338979daebfd09f8ba9fae08bd0c35f1dfe']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 7f26922486c57efe5d6d6e2b3a5ec338979daebfd09f8ba9fae08bd0c35f1dfe', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- api-logs-table.sql
--
-- One row for each request of the application's API. For the service alone:
-- no policy, and no grant to people. What an analysis needs beyond this is
-- added by api-logs-schema.sql.

CREATE TABLE api_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    endpoint text,
    method text,
    status_code integer,
    response_time_ms integer,
    user_id text,
    ip_address text,
    user_agent text,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_logs_pkey PRIMARY KEY (id),
    CONSTRAINT api_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT api_logs_method_check CHECK (method IN ('DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT')),
    CONSTRAINT api_logs_response_time_ms_check CHECK (response_time_ms >= 0)
);

CREATE INDEX idx_api_logs_created_at ON api_logs (created_at DESC);
CREATE INDEX idx_api_logs_endpoint_created_at ON api_logs (endpoint, created_at DESC);
CREATE INDEX idx_api_logs_user_id_created_at ON api_logs (user_id, created_at DESC);
-- Errors and slow requests are looked for often, and are little of the whole.
CREATE INDEX idx_api_logs_errors ON api_logs (status_code, created_at DESC) WHERE status_code >= 400;
CREATE INDEX idx_api_logs_slow ON api_logs (response_time_ms DESC, created_at DESC) WHERE response_time_ms >= 1000;

COMMENT ON TABLE api_logs IS 'Requests of the application''s API. For the service alone.';
COMMENT ON COLUMN api_logs.endpoint IS 'The path, without its parameters.';
COMMENT ON COLUMN api_logs.status_code IS 'The HTTP status that was answered, as it came; NULL where no answer was given.';
COMMENT ON COLUMN api_logs.response_time_ms IS 'Milliseconds until the answer was given.';
COMMENT ON COLUMN api_logs.user_id IS 'Who asked; NULL for nobody known, and once the person is gone.';

ALTER TABLE api_logs ENABLE ROW LEVEL SECURITY;
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- For the service alone.
GRANT SELECT, INSERT, UPDATE, DELETE ON api_logs TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('api-logs-table.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '7f26922486c57efe5d6d6e2b3a5ec338979daebfd09f8ba9fae08bd0c35f1dfe',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'api-logs-table.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'api-logs-table.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- 33. api-logs-schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'api-logs-schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['51f2ae9baf7552e073b450d474058c4bcf3e5f1b22b1f5f337ccb529113e5a80']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is 51f2ae9baf7552e073b450d474058c4bcf3e5f1b22b1f5f337ccb529113e5a80', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- api-logs-schema.sql
--
-- Extends api_logs by what an analysis needs: more of the request and the
-- answer, where the time went, what kind of error it was, and how it stood with
-- the rate limit. api_rate_limits counts the requests of each client. For the
-- service alone, the views, too.

ALTER TABLE api_logs
    ADD COLUMN session_id text,
    ADD COLUMN request_id text,
    ADD COLUMN environment text,
    ADD COLUMN query_params jsonb,
    ADD COLUMN headers jsonb,
    ADD COLUMN request_body jsonb,
    ADD COLUMN response_body jsonb,
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN request_size_bytes bigint
        CONSTRAINT api_logs_request_size_bytes_check CHECK (request_size_bytes >= 0),
    ADD COLUMN response_size_bytes bigint
        CONSTRAINT api_logs_response_size_bytes_check CHECK (response_size_bytes >= 0),
    ADD COLUMN database_time_ms integer
        CONSTRAINT api_logs_database_time_ms_check CHECK (database_time_ms >= 0),
    ADD COLUMN upstream_time_ms integer
        CONSTRAINT api_logs_upstream_time_ms_check CHECK (upstream_time_ms >= 0),
    ADD COLUMN cache_hit boolean,
    ADD COLUMN error_category text
        CONSTRAINT api_logs_error_category_check CHECK (error_category IN (
            'authentication', 'authorization', 'validation', 'not_found', 'conflict', 'rate_limit', 'timeout',
            'unavailable', 'client', 'server', 'unknown')),
    ADD COLUMN error_code text,
    ADD COLUMN stack_trace text,
    ADD COLUMN rate_limited boolean NOT NULL DEFAULT false,
    ADD COLUMN rate_limit integer
        CONSTRAINT api_logs_rate_limit_check CHECK (rate_limit >= 0),
    ADD COLUMN rate_limit_remaining integer
        CONSTRAINT api_logs_rate_limit_remaining_check CHECK (rate_limit_remaining >= 0),
    ADD COLUMN rate_limit_reset_at timestamptz;

CREATE TABLE api_rate_limits (
    client_key text NOT NULL,
    endpoint text NOT NULL,
    window_seconds integer NOT NULL,
    window_start timestamptz NOT NULL,
    max_requests integer,
    request_count integer NOT NULL DEFAULT 0,
    refused_count integer NOT NULL DEFAULT 0,
    last_request_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_rate_limits_pkey PRIMARY KEY (client_key, endpoint, window_seconds, window_start),
    CONSTRAINT api_rate_limits_window_seconds_check CHECK (window_seconds > 0),
    CONSTRAINT api_rate_limits_max_requests_check CHECK (max_requests >= 0),
    CONSTRAINT api_rate_limits_request_count_check CHECK (request_count >= 0),
    CONSTRAINT api_rate_limits_refused_count_check CHECK (refused_count >= 0)
);

CREATE INDEX idx_api_logs_error_category_created_at
    ON api_logs (error_category, created_at DESC) WHERE error_category IS NOT NULL;
CREATE INDEX idx_api_logs_session_id_created_at
    ON api_logs (session_id, created_at) WHERE session_id IS NOT NULL;
CREATE INDEX idx_api_logs_request_id ON api_logs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX idx_api_rate_limits_window_start ON api_rate_limits (window_start);

COMMENT ON COLUMN api_logs.session_id IS 'The session of the person who asked.';
COMMENT ON COLUMN api_logs.request_id IS 'The id under which other logs know the request.';
COMMENT ON COLUMN api_logs.environment IS 'Such as production or development.';
COMMENT ON COLUMN api_logs.headers IS 'Headers of the request. Secrets are for the application to leave out.';
COMMENT ON COLUMN api_logs.database_time_ms IS 'How much of response_time_ms the database took.';
COMMENT ON COLUMN api_logs.upstream_time_ms IS 'How much of response_time_ms other services took.';
COMMENT ON COLUMN api_logs.cache_hit IS 'Whether a cache answered; NULL where none was asked.';
COMMENT ON COLUMN api_logs.error_category IS
    'The kind of error; where it is not given, api_error_category() tells. NULL for no error.';
COMMENT ON COLUMN api_logs.error_code IS 'The application''s own code of the error.';
COMMENT ON COLUMN api_logs.rate_limited IS 'Whether the request was refused because of a rate limit.';
COMMENT ON COLUMN api_logs.rate_limit IS 'The requests that the client was allowed in its window.';
COMMENT ON COLUMN api_logs.rate_limit_remaining IS 'The requests that it had left then.';
COMMENT ON COLUMN api_logs.rate_limit_reset_at IS 'When that window ended.';
COMMENT ON TABLE api_rate_limits IS
    'How many requests each client made, by endpoint and window: count_api_request() counts. For the service alone.';
COMMENT ON COLUMN api_rate_limits.client_key IS 'Who is counted, such as a person, an address or an API key.';
COMMENT ON COLUMN api_rate_limits.endpoint IS 'What is counted; * for everything together.';
COMMENT ON COLUMN api_rate_limits.window_start IS 'Windows are cut by the clock, each window_seconds long.';
COMMENT ON COLUMN api_rate_limits.max_requests IS 'What was allowed in the window when it was asked last.';
COMMENT ON COLUMN api_rate_limits.request_count IS 'All requests in the window, the refused ones with them.';
COMMENT ON COLUMN api_rate_limits.refused_count IS 'Those of them that were refused.';

CREATE FUNCTION api_error_category(status_code integer, error_message text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
    SELECT CASE
        WHEN status_code = 401 THEN 'authentication'
        WHEN status_code = 403 THEN 'authorization'
        WHEN status_code IN (400, 413, 414, 415, 422) THEN 'validation'
        WHEN status_code IN (404, 405, 410) THEN 'not_found'
        WHEN status_code IN (409, 412, 423, 428) THEN 'conflict'
        WHEN status_code = 429 THEN 'rate_limit'
        WHEN status_code IN (408, 499, 504) THEN 'timeout'
        WHEN status_code IN (502, 503) THEN 'unavailable'
        WHEN status_code BETWEEN 400 AND 499 THEN 'client'
        WHEN status_code >= 500 AND error_message ~* 'time(d)?[ -]?out' THEN 'timeout'
        WHEN status_code >= 500 THEN 'server'
        WHEN error_message IS NULL THEN NULL
        WHEN error_message ~* 'time(d)?[ -]?out' THEN 'timeout'
        WHEN error_message ~* 'rate.?limit|too many requests' THEN 'rate_limit'
        ELSE 'unknown'
    END
$function$;
COMMENT ON FUNCTION api_error_category(integer, text) IS
    'The kind of error that an HTTP status, and where that says nothing the message, stand for; NULL for no error.';

CREATE FUNCTION api_logs_categorize_error() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    -- A kind that the function told follows what it was told from; one that a statement gives stays.
    IF NEW.error_category IS NULL
       OR TG_OP = 'UPDATE' AND NEW.error_category = OLD.error_category
          AND OLD.error_category = api_error_category(OLD.status_code, OLD.error_message)
    THEN
        NEW.error_category := api_error_category(NEW.status_code, NEW.error_message);
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION api_logs_categorize_error() IS 'Trigger: fills in the kind of error where it is not given.';

CREATE TRIGGER api_logs_categorize_error
    BEFORE INSERT OR UPDATE OF status_code, error_message, error_category ON api_logs
    FOR EACH ROW EXECUTE FUNCTION api_logs_categorize_error();

-- What was logged before.
UPDATE api_logs SET error_category = api_error_category(status_code, error_message)
WHERE error_category IS NULL AND (status_code >= 400 OR error_message IS NOT NULL);

CREATE FUNCTION count_api_request(
    client_key text,
    endpoint text DEFAULT '*',
    max_requests integer DEFAULT 60,
    window_seconds integer DEFAULT 60)
RETURNS TABLE (
    allowed boolean,
    requests integer,
    remaining integer,
    reset_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER ROWS 1 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_variable
DECLARE
    started timestamptz;
BEGIN
    IF client_key IS NULL OR endpoint IS NULL OR max_requests IS NULL OR max_requests < 0 OR window_seconds IS NULL OR window_seconds < 1 THEN
        RAISE EXCEPTION 'count_api_request() needs a client, an endpoint, max_requests of 0 or more and window_seconds of 1 or more'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    started := to_timestamp(floor(extract(epoch FROM clock_timestamp()) / window_seconds) * window_seconds);
    -- One statement, so that of many requests at once each is counted. Names of
    -- columns stand behind the table's, the others are the arguments.
    INSERT INTO api_rate_limits AS counter (client_key, endpoint, window_seconds, window_start, max_requests, request_count, refused_count, last_request_at)
    VALUES (client_key, endpoint, window_seconds, started, max_requests, 1, CASE WHEN max_requests < 1 THEN 1 ELSE 0 END, clock_timestamp())
    ON CONFLICT ON CONSTRAINT api_rate_limits_pkey DO UPDATE
        SET request_count = counter.request_count + 1,
            refused_count = counter.refused_count + CASE WHEN counter.request_count >= excluded.max_requests THEN 1 ELSE 0 END,
            max_requests = excluded.max_requests,
            last_request_at = excluded.last_request_at
    RETURNING counter.request_count INTO requests;
    allowed := requests <= max_requests;
    remaining := greatest(max_requests - requests, 0);
    reset_at := started + make_interval(secs => window_seconds);
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION count_api_request(text, text, integer, integer) IS
    'Counts a request of a client in the present window, '
    'and says whether it is still allowed, how many are left, and when the window ends.';

CREATE FUNCTION purge_api_rate_limits(older_than interval DEFAULT '1 day') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    purged bigint;
BEGIN
    DELETE FROM api_rate_limits AS counter
    WHERE counter.window_start < now() - older_than
      AND counter.window_start + make_interval(secs => counter.window_seconds) < now() - older_than;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$function$;
COMMENT ON FUNCTION purge_api_rate_limits(interval) IS
    'Deletes counters of windows that ended longer ago, and returns how many. For the service to call now and then.';

CREATE VIEW api_endpoint_performance WITH (security_invoker = true) AS
SELECT (log.created_at AT TIME ZONE 'UTC')::date AS day,
       log.endpoint,
       log.method,
       count(*) AS requests,
       count(*) FILTER (WHERE log.error_category IS NOT NULL) AS errors,
       (count(*) FILTER (WHERE log.error_category IS NOT NULL))::double precision / count(*) AS error_rate,
       count(*) FILTER (WHERE log.rate_limited) AS rate_limited,
       avg(log.response_time_ms)::double precision AS average_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY log.response_time_ms) AS median_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY log.response_time_ms) AS p95_ms,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY log.response_time_ms) AS p99_ms,
       max(log.response_time_ms) AS max_ms,
       avg(log.database_time_ms)::double precision AS average_database_ms,
       avg(log.upstream_time_ms)::double precision AS average_upstream_ms,
       avg(log.response_size_bytes)::double precision AS average_response_bytes,
       avg(log.cache_hit::integer)::double precision AS cache_hit_rate
FROM api_logs AS log
GROUP BY 1, 2, 3;
COMMENT ON VIEW api_endpoint_performance IS
    'For each day (UTC), endpoint and method: requests, errors, and how long they took.';

CREATE VIEW api_error_summary WITH (security_invoker = true) AS
SELECT (log.created_at AT TIME ZONE 'UTC')::date AS day,
       log.error_category,
       log.endpoint,
       log.status_code,
       count(*) AS errors,
       count(DISTINCT log.user_id) AS people,
       min(log.created_at) AS first_at,
       max(log.created_at) AS last_at,
       (array_agg(log.error_message ORDER BY log.created_at DESC)
            FILTER (WHERE log.error_message IS NOT NULL))[1] AS last_message
FROM api_logs AS log
WHERE log.error_category IS NOT NULL
GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW api_error_summary IS
    'For each day (UTC), kind of error, endpoint and status: '
    'how many there were, how many people met them, and the last message.';

CREATE VIEW api_rate_limit_usage WITH (security_invoker = true) AS
SELECT counter.client_key,
       counter.endpoint,
       counter.window_start,
       counter.window_start + make_interval(secs => counter.window_seconds) AS reset_at,
       counter.request_count,
       counter.refused_count,
       counter.max_requests,
       greatest(counter.max_requests - counter.request_count, 0) AS remaining
FROM api_rate_limits AS counter
WHERE counter.window_start + make_interval(secs => counter.window_seconds) > now();
COMMENT ON VIEW api_rate_limit_usage IS 'How each client stands in its present windows.';

ALTER TABLE api_rate_limits ENABLE ROW LEVEL SECURITY;
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- For the service alone. api_logs has its grants from api-logs-table.sql.
GRANT SELECT, INSERT, UPDATE, DELETE ON api_rate_limits TO service_role;
GRANT SELECT ON api_endpoint_performance, api_error_summary, api_rate_limit_usage TO service_role;
GRANT EXECUTE
    ON FUNCTION
        api_error_category(integer, text),
        count_api_request(text, text, integer, integer),
        purge_api_rate_limits(interval)
    TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('api-logs-schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), '51f2ae9baf7552e073b450d474058c4bcf3e5f1b22b1f5f337ccb529113e5a80',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'api-logs-schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'api-logs-schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 17

-- 34. mcp-servers-schema.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'mcp-servers-schema.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['bb50b4880ecec0c22ded9d8588cad479a92922e0c890364187297f293c55c9e6']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is bb50b4880ecec0c22ded9d8588cad479a92922e0c890364187297f293c55c9e6', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- mcp-servers-schema.sql
--
-- The MCP servers that the application knows, what each offers (tools, prompts,
-- resources), and how it goes with them: a health check that is inserted brings
-- its server's status up to date. For the service alone, since a server's
-- settings hold secrets: no policy, and no grant to people.
--
-- active is the documented column; the application says enabled. Both work, for
-- reading and writing, and a trigger keeps them equal.

CREATE TABLE mcp_servers (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL,
    description text,
    transport text NOT NULL DEFAULT 'stdio',
    command text,
    args jsonb DEFAULT '[]'::jsonb,
    url text,
    env jsonb DEFAULT '{}'::jsonb,
    capabilities jsonb DEFAULT '{}'::jsonb,
    timeout integer DEFAULT 30000,
    retry_attempts integer DEFAULT 3,
    retry_delay integer DEFAULT 1000,
    health_check_interval integer DEFAULT 60000,
    health_check_timeout integer DEFAULT 5000,
    -- A trigger fills in the default. With one on a column, an INSERT that names the
    -- other column could not be told from one that names both.
    active boolean NOT NULL,
    enabled boolean,
    priority integer DEFAULT 0,
    tags text[] DEFAULT '{}',
    status text NOT NULL DEFAULT 'unknown',
    status_changed_at timestamptz,
    last_health_check timestamptz,
    last_error text,
    consecutive_failures integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_servers_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_servers_name_key UNIQUE (name),
    CONSTRAINT mcp_servers_transport_check CHECK (transport IN ('http', 'sse', 'stdio')),
    CONSTRAINT mcp_servers_status_check CHECK (status IN ('unknown', 'healthy', 'degraded', 'unhealthy')),
    CONSTRAINT mcp_servers_timeout_check CHECK (timeout >= 0),
    CONSTRAINT mcp_servers_retry_attempts_check CHECK (retry_attempts >= 0),
    CONSTRAINT mcp_servers_retry_delay_check CHECK (retry_delay >= 0),
    CONSTRAINT mcp_servers_health_check_interval_check CHECK (health_check_interval >= 0),
    CONSTRAINT mcp_servers_health_check_timeout_check CHECK (health_check_timeout >= 0),
    CONSTRAINT mcp_servers_consecutive_failures_check CHECK (consecutive_failures >= 0)
);

CREATE TABLE mcp_tools (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    name text NOT NULL,
    title text,
    description text,
    input_schema jsonb NOT NULL DEFAULT '{}'::jsonb,
    output_schema jsonb,
    annotations jsonb NOT NULL DEFAULT '{}'::jsonb,
    active boolean NOT NULL DEFAULT true,
    usage_count bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_tools_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_tools_server_id_name_key UNIQUE (server_id, name),
    CONSTRAINT mcp_tools_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_tools_usage_count_check CHECK (usage_count >= 0)
);

CREATE TABLE mcp_prompts (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    name text NOT NULL,
    title text,
    description text,
    arguments jsonb NOT NULL DEFAULT '[]'::jsonb,
    template text,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_prompts_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_prompts_server_id_name_key UNIQUE (server_id, name),
    CONSTRAINT mcp_prompts_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_prompts_arguments_check CHECK (jsonb_typeof(arguments) = 'array')
);

CREATE TABLE mcp_resources (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    uri text NOT NULL,
    name text,
    title text,
    description text,
    mime_type text,
    size_bytes bigint,
    annotations jsonb NOT NULL DEFAULT '{}'::jsonb,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_resources_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_resources_server_id_uri_key UNIQUE (server_id, uri),
    CONSTRAINT mcp_resources_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_resources_size_bytes_check CHECK (size_bytes >= 0)
);

CREATE TABLE mcp_health_checks (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    status text NOT NULL,
    response_time_ms integer,
    error_message text,
    details jsonb NOT NULL DEFAULT '{}'::jsonb,
    checked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_health_checks_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_health_checks_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_health_checks_status_check CHECK (status IN ('healthy', 'degraded', 'unhealthy')),
    CONSTRAINT mcp_health_checks_response_time_ms_check CHECK (response_time_ms >= 0)
);

-- The unique keys of tools, prompts and resources begin with server_id.
CREATE INDEX idx_mcp_servers_active ON mcp_servers (priority DESC, name) WHERE active;
CREATE INDEX idx_mcp_servers_transport ON mcp_servers (transport);
CREATE INDEX idx_mcp_servers_tags ON mcp_servers USING gin (tags);
CREATE INDEX idx_mcp_health_checks_server_id_checked_at ON mcp_health_checks (server_id, checked_at DESC);
CREATE INDEX idx_mcp_health_checks_checked_at ON mcp_health_checks (checked_at);

COMMENT ON TABLE mcp_servers IS 'The MCP servers that the application knows. For the service alone.';
COMMENT ON COLUMN mcp_servers.transport IS 'How it is reached: stdio (command, args, env), http or sse (url).';
COMMENT ON COLUMN mcp_servers.env IS 'The environment of the command; may hold secrets.';
COMMENT ON COLUMN mcp_servers.capabilities IS 'What the server said it can do.';
COMMENT ON COLUMN mcp_servers.timeout IS 'Milliseconds that an answer may take.';
COMMENT ON COLUMN mcp_servers.retry_delay IS 'Milliseconds between two attempts.';
COMMENT ON COLUMN mcp_servers.health_check_interval IS 'Milliseconds between two health checks.';
COMMENT ON COLUMN mcp_servers.health_check_timeout IS 'Milliseconds that a health check may take.';
COMMENT ON COLUMN mcp_servers.active IS 'Whether it is used; enabled is the same.';
COMMENT ON COLUMN mcp_servers.enabled IS 'The application''s name for active, kept equal by a trigger.';
COMMENT ON COLUMN mcp_servers.status IS 'What the latest health check said; unknown before the first.';
COMMENT ON COLUMN mcp_servers.status_changed_at IS 'Since when the status is what it is.';
COMMENT ON COLUMN mcp_servers.last_health_check IS 'When the latest health check was.';
COMMENT ON COLUMN mcp_servers.last_error IS 'What the latest health check that was not healthy said.';
COMMENT ON COLUMN mcp_servers.consecutive_failures IS 'The unhealthy checks since one that was not.';
COMMENT ON TABLE mcp_tools IS 'The tools that a server offers. For the service alone.';
COMMENT ON COLUMN mcp_tools.input_schema IS 'The JSON Schema of the arguments.';
COMMENT ON COLUMN mcp_tools.output_schema IS 'The JSON Schema of the result, where the server gives one.';
COMMENT ON COLUMN mcp_tools.annotations IS 'What the server says of its behaviour, such as whether it only reads.';
COMMENT ON TABLE mcp_prompts IS 'The prompts that a server offers, to be used again. For the service alone.';
COMMENT ON COLUMN mcp_prompts.arguments IS 'The arguments that a prompt takes, a list.';
COMMENT ON COLUMN mcp_prompts.template IS 'The text, where it is kept here.';
COMMENT ON TABLE mcp_resources IS 'The resources that a server shares. For the service alone.';
COMMENT ON COLUMN mcp_resources.annotations IS 'What the server says of it, such as for whom it is.';
COMMENT ON TABLE mcp_health_checks IS 'Health checks of servers. For the service alone.';
COMMENT ON COLUMN mcp_health_checks.status IS 'healthy; degraded: it answers, but not well; unhealthy: it does not.';

CREATE FUNCTION mcp_servers_sync_active() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.active <> NEW.enabled THEN
            RAISE EXCEPTION 'mcp_servers.active (%) and mcp_servers.enabled (%) are one value under two names, and differ', NEW.active, NEW.enabled
                USING ERRCODE = 'check_violation', HINT = 'Give one of them, or both alike.';
        END IF;
        NEW.active := coalesce(NEW.active, NEW.enabled, true);
        NEW.enabled := NEW.active;
    ELSIF NEW.active IS NOT DISTINCT FROM OLD.active THEN
        NEW.active := NEW.enabled;
    ELSIF NEW.enabled IS NOT DISTINCT FROM OLD.enabled THEN
        NEW.enabled := NEW.active;
    ELSIF NEW.active IS DISTINCT FROM NEW.enabled THEN
        RAISE EXCEPTION 'mcp_servers.active (%) and mcp_servers.enabled (%) are one value under two names, and differ', NEW.active, NEW.enabled
            USING ERRCODE = 'check_violation', HINT = 'Change one of them, or both alike.';
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION mcp_servers_sync_active() IS
    'Trigger: keeps active and the application''s enabled equal: '
    'the changed one wins; both changed and different is an error.';

CREATE FUNCTION mcp_health_checks_update_server() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    -- A check that comes in late does not undo what a later one said.
    UPDATE mcp_servers AS server
    SET status = NEW.status,
        status_changed_at = CASE WHEN server.status = NEW.status THEN server.status_changed_at ELSE NEW.checked_at END,
        last_health_check = NEW.checked_at,
        last_error = CASE WHEN NEW.status = 'healthy' THEN server.last_error ELSE coalesce(NEW.error_message, server.last_error) END,
        consecutive_failures = CASE WHEN NEW.status = 'unhealthy' THEN server.consecutive_failures + 1 ELSE 0 END
    WHERE server.id = NEW.server_id AND (server.last_health_check IS NULL OR server.last_health_check <= NEW.checked_at);
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION mcp_health_checks_update_server() IS
    'Trigger: brings a server''s status, last_health_check and failures up to date with the check that was inserted.';

CREATE TRIGGER mcp_servers_sync_active
    BEFORE INSERT OR UPDATE OF active, enabled ON mcp_servers
    FOR EACH ROW EXECUTE FUNCTION mcp_servers_sync_active();

CREATE TRIGGER mcp_health_checks_update_server
    AFTER INSERT ON mcp_health_checks
    FOR EACH ROW EXECUTE FUNCTION mcp_health_checks_update_server();

CREATE TRIGGER mcp_servers_set_updated_at
    BEFORE UPDATE ON mcp_servers
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER mcp_tools_set_updated_at
    BEFORE UPDATE ON mcp_tools
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER mcp_prompts_set_updated_at
    BEFORE UPDATE ON mcp_prompts
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER mcp_resources_set_updated_at
    BEFORE UPDATE ON mcp_resources
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE VIEW mcp_server_health WITH (security_invoker = true) AS
SELECT server.id,
       server.name,
       server.active,
       server.status,
       server.status_changed_at,
       server.last_health_check,
       server.consecutive_failures,
       server.active AND (
           server.last_health_check IS NULL
           OR server.last_health_check < now() - 2 * server.health_check_interval * interval '1 millisecond'
       ) AS overdue,
       recent.checks AS checks_24h,
       recent.uptime AS uptime_24h,
       recent.average_ms AS average_ms_24h
FROM mcp_servers AS server
CROSS JOIN LATERAL (
    SELECT count(*) AS checks,
           avg((probe.status <> 'unhealthy')::integer)::double precision AS uptime,
           avg(probe.response_time_ms)::double precision AS average_ms
    FROM mcp_health_checks AS probe
    WHERE probe.server_id = server.id AND probe.checked_at > now() - interval '24 hours'
) AS recent;
COMMENT ON VIEW mcp_server_health IS
    'How it goes with each server: its status, whether its health check is overdue, '
    'and the share of checks in the last 24 hours that it answered.';

ALTER TABLE mcp_servers ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_tools ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_prompts ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_resources ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_health_checks ENABLE ROW LEVEL SECURITY;
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    IF hosted THEN
    EXECUTE $hosted$
-- For the service alone.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON mcp_servers, mcp_tools, mcp_prompts, mcp_resources, mcp_health_checks
    TO service_role;
GRANT SELECT ON mcp_server_health TO service_role;
$hosted$;
    END IF;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('mcp-servers-schema.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'bb50b4880ecec0c22ded9d8588cad479a92922e0c890364187297f293c55c9e6',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'mcp-servers-schema.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'mcp-servers-schema.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

-- Phase 18

-- 35. COMBINED-CRITICAL-MIGRATIONS.sql
DO $migration$
DECLARE
    hosted constant boolean := EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
        AND (SELECT count(*) = 3 FROM pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'));
    recorded text;
    started timestamptz;
    newest oid;
    made jsonb;
    words text;
    more text;
    cure text;
BEGIN
    IF EXISTS (SELECT FROM public.migration_history
               WHERE migration_name = ANY (ARRAY[]::text[]) AND success AND kimbledb_version IS NOT NULL) OR NOT (true) THEN
        RETURN;  -- an alternative stands in its place
    END IF;
    SELECT coalesce(checksum, '') INTO recorded
    FROM public.migration_history WHERE migration_name = 'COMBINED-CRITICAL-MIGRATIONS.sql' AND success AND (kimbledb_version IS NOT NULL OR adopted);
    IF recorded = ANY (ARRAY['f87759dca7c4eb345466cea258358f4b784626bbcd7705d8c2c5336bed4baa84']::text[]) OR recorded = '' THEN
        RETURN;  -- it is applied
    ELSIF recorded IS NOT NULL THEN
        RAISE EXCEPTION 'it was applied as another text: sha256 %, and here it is f87759dca7c4eb345466cea258358f4b784626bbcd7705d8c2c5336bed4baa84', recorded;
    END IF;
    started := clock_timestamp();
    newest := (SELECT max(oid) FROM pg_class);
    EXECUTE current_setting('kimbledb.keep_older');
    EXECUTE $script$
-- COMBINED-CRITICAL-MIGRATIONS.sql
--
-- A repair: once file-registry-migration.sql, file-integration-enhancement.sql,
-- notifications-table-migration.sql and backups-table-migration.sql in one place.
-- Each of their parts stands with them, and where one was lost since it is made again
-- from there: nothing is left to be made here. What is left is what migration.toml
-- expects: columns of theirs that an older form of this migration made in another
-- type are converted.
$script$;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    EXECUTE current_setting('kimbledb.take_back');
    EXECUTE current_setting('kimbledb.made_on') INTO made USING newest;
    INSERT INTO public.migration_history AS h
        (migration_name, applied_at, success, execution_time_ms, checksum, applied_by, kimbledb_version)
    VALUES ('COMBINED-CRITICAL-MIGRATIONS.sql', clock_timestamp(), true, round(extract(epoch FROM clock_timestamp() - started) * 1000), 'f87759dca7c4eb345466cea258358f4b784626bbcd7705d8c2c5336bed4baa84',
            session_user, '1.0.0rc1')
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL, forms = NULL;
    INSERT INTO public.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    SELECT 'apply', migration_name, execution_time_ms, checksum, kimbledb_version,
           jsonb_build_object('by', 'the rendered file', 'made', made)
    FROM public.migration_history WHERE migration_name = 'COMBINED-CRITICAL-MIGRATIONS.sql';
EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS words = MESSAGE_TEXT, more = PG_EXCEPTION_DETAIL, cure = PG_EXCEPTION_HINT;
        RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = 'COMBINED-CRITICAL-MIGRATIONS.sql failed, and nothing of this file was kept: ' || words,
            DETAIL = more, HINT = cure;
END
$migration$;

COMMIT;

SELECT migration_name, applied_at, success, execution_time_ms FROM public.migration_history ORDER BY id;
