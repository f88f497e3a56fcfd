-- The needs of a clone of this database beside pg_dump's file: roles, settings, extensions, and the dependences between
-- schemas. It reads no row of a table.
WITH schemas AS (
    SELECT n.oid, n.nspname FROM pg_namespace AS n
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'),
homes (classid, objid, schema) AS (
    SELECT 'pg_class'::regclass, c.oid, c.relnamespace FROM pg_class AS c
    UNION ALL SELECT 'pg_type'::regclass, t.oid, t.typnamespace FROM pg_type AS t
    UNION ALL SELECT 'pg_proc'::regclass, p.oid, p.pronamespace FROM pg_proc AS p
    UNION ALL SELECT 'pg_operator'::regclass, o.oid, o.oprnamespace FROM pg_operator AS o
    UNION ALL SELECT 'pg_opclass'::regclass, o.oid, o.opcnamespace FROM pg_opclass AS o
    UNION ALL SELECT 'pg_collation'::regclass, o.oid, o.collnamespace FROM pg_collation AS o
    UNION ALL SELECT 'pg_ts_config'::regclass, o.oid, o.cfgnamespace FROM pg_ts_config AS o
    UNION ALL SELECT 'pg_ts_dict'::regclass, o.oid, o.dictnamespace FROM pg_ts_dict AS o
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid, k.connamespace FROM pg_constraint AS k
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, c.relnamespace FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
    UNION ALL SELECT 'pg_trigger'::regclass, t.oid, c.relnamespace FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    UNION ALL SELECT 'pg_policy'::regclass, p.oid, c.relnamespace FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    UNION ALL SELECT 'pg_attrdef'::regclass, a.oid, c.relnamespace FROM pg_attrdef AS a JOIN pg_class AS c ON c.oid = a.adrelid),
members (classid, objid) AS (
    SELECT d.classid, d.objid FROM pg_depend AS d WHERE d.deptype = 'e'),
-- The objects of an extension come with it.
uses (needing, needed) AS (
    SELECT DISTINCT one.schema, other.schema
    FROM pg_depend AS d
    JOIN homes AS one ON one.classid = d.classid AND one.objid = d.objid
    JOIN homes AS other ON other.classid = d.refclassid AND other.objid = d.refobjid
    WHERE one.schema <> other.schema AND d.deptype <> 'e'
      AND NOT EXISTS (SELECT FROM members AS m WHERE m.classid = d.refclassid AND m.objid = d.refobjid)
      AND NOT EXISTS (SELECT FROM members AS m WHERE m.classid = d.classid AND m.objid = d.objid)
    -- The body of a function is a text: no dependence is recorded. Among very many schemas it is not searched.
    UNION SELECT p.pronamespace, s.oid
    FROM pg_proc AS p JOIN schemas AS own ON own.oid = p.pronamespace
    JOIN schemas AS s ON s.oid <> p.pronamespace AND strpos(p.prosrc, s.nspname || '.') > 0
    WHERE (SELECT count(*) FROM schemas) <= 200),
-- Roles that own something here, are granted something, or are named by a migration.
used_roles AS (
    SELECT d.refobjid AS oid FROM pg_shdepend AS d
    WHERE d.refclassid = 'pg_authid'::regclass
      AND d.dbid IN (0, (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database()))
    UNION SELECT r.oid FROM pg_roles AS r WHERE r.rolname = ANY ({words}) OR r.rolname IN (current_user, session_user)
    UNION SELECT b.datdba FROM pg_database AS b WHERE b.datname = current_database()),
roles AS (
    SELECT r.* FROM pg_roles AS r WHERE r.rolname !~ '^pg_' AND r.oid IN (
        SELECT u.oid FROM used_roles AS u
        UNION SELECT m.roleid FROM pg_auth_members AS m JOIN used_roles AS u ON u.oid = m.member))
SELECT jsonb_build_object(
    'role', session_user,
    'database', current_database(),
    'schemas', (SELECT coalesce(jsonb_agg(s.nspname ORDER BY s.nspname), '[]') FROM schemas AS s),
    'uses', (SELECT coalesce(jsonb_agg(jsonb_build_array(a.nspname, b.nspname)), '[]')
             FROM uses AS u JOIN schemas AS a ON a.oid = u.needing JOIN schemas AS b ON b.oid = u.needed),
    -- pg_dump locks each table that it dumps.
    'unreadable', (SELECT coalesce(jsonb_agg(s.nspname ORDER BY s.nspname), '[]') FROM schemas AS s
                   WHERE NOT has_schema_privilege(s.oid, 'USAGE')
                      OR EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = s.oid AND c.relkind IN ('r', 'p', 'f')
                                 AND NOT has_table_privilege(c.oid, 'SELECT'))),
    -- Functions of event triggers, which fire for every schema.
    'everywhere', (SELECT coalesce(jsonb_agg(DISTINCT s.nspname), '[]')
                   FROM pg_event_trigger AS e JOIN pg_proc AS p ON p.oid = e.evtfoid JOIN schemas AS s ON s.oid = p.pronamespace),
    'extensions', (SELECT coalesce(jsonb_agg(jsonb_build_array(e.extname, e.extversion, n.nspname) ORDER BY e.oid), '[]')
                   FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'),
    'roles', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                  'name', r.rolname, 'INHERIT', r.rolinherit, 'CREATEROLE', r.rolcreaterole, 'CREATEDB', r.rolcreatedb,
                  'BYPASSRLS', r.rolbypassrls, 'SUPERUSER', r.rolsuper) ORDER BY r.rolname), '[]') FROM roles AS r),
    'members', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(a.rolname, b.rolname)), '[]')
                FROM pg_auth_members AS m JOIN roles AS a ON a.oid = m.roleid JOIN roles AS b ON b.oid = m.member),
    -- The value of a setting that the server does not know may be a secret.
    'settings', (SELECT coalesce(jsonb_agg(jsonb_build_array(
                     s.setrole <> 0, split_part(entry, '=', 1),
                     CASE WHEN strpos(split_part(entry, '=', 1), '.') > 0 THEN '' ELSE substr(entry, strpos(entry, '=') + 1) END)), '[]')
                 FROM pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS entry
                 WHERE s.setdatabase IN (0, (SELECT b.oid FROM pg_database AS b WHERE b.datname = current_database()))
                   AND (s.setrole = 0 AND s.setdatabase <> 0
                        OR s.setrole = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = session_user))),
    'tables', (SELECT coalesce(jsonb_agg(jsonb_build_array(
                   n.nspname, c.relname,
                   -- As in table_sizes.sql: an estimate of no rows is worthless if the table has grown since.
                   CASE WHEN c.relkind NOT IN ('r', 'p', 'm') THEN NULL
                        WHEN c.reltuples > 0 THEN c.reltuples::bigint
                        WHEN c.reltuples = 0 AND c.relpages * current_setting('block_size')::bigint = pg_catalog.pg_relation_size(c.oid) THEN 0 END,
                   CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_total_relation_size(c.oid) END,
                   c.relkind NOT IN ('r', 'm') OR pg_catalog.pg_relation_size(c.oid) > 0)), '[]')
               FROM pg_class AS c JOIN schemas AS n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f')))
