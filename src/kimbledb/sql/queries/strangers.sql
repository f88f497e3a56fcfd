-- The objects that untrusted roles own or may create in schemas of the search_path, each with the reason and the cure.
-- An untrusted function or operator is called if its arguments fit better than those of pg_catalog's, an untrusted
-- table brings triggers, and code may be attached to our tables.
WITH role (trusted) AS MATERIALIZED (
{trusted}
),
space AS MATERIALIZED (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl
    FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname = ANY ({schemas}) OR n.nspname = 'pg_catalog'
),
-- The objects of a platform belong to several roles, in schemas of its superuser.
platform AS MATERIALIZED (
    SELECT n.oid
    FROM pg_catalog.pg_namespace AS n
    JOIN pg_catalog.pg_roles AS r ON r.oid = n.nspowner AND r.rolsuper
    WHERE EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'auth')
      AND (SELECT count(*) = 3 FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role'))
),
-- What strangers own: of what is elsewhere that which may hang on ours. What the server made is below 16384.
theirs (classid, objid, owner, namespace) AS MATERIALIZED (
    SELECT classid, oid, owner, namespace
    FROM (
        SELECT 'pg_catalog.pg_proc'::regclass::oid, oid, proowner, pronamespace FROM pg_catalog.pg_proc WHERE oid >= 16384
        UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprowner, oprnamespace FROM pg_catalog.pg_operator WHERE oid >= 16384
        UNION ALL SELECT 'pg_catalog.pg_class'::regclass, oid, relowner, relnamespace FROM pg_catalog.pg_class
            WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND (relhastriggers OR relnamespace IN (SELECT oid FROM space))
        -- The types of tables and arrays come with what they are of.
        UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typowner, typnamespace FROM pg_catalog.pg_type
            WHERE oid >= 16384 AND typcategory <> 'A' AND (typtype = 'd' OR (typnamespace IN (SELECT oid FROM space) AND (
                typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = typrelid AND c.relkind = 'c'))))
        UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, oid, opcowner, opcnamespace FROM pg_catalog.pg_opclass WHERE oid >= 16384
        UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, oid, opfowner, opfnamespace FROM pg_catalog.pg_opfamily WHERE oid >= 16384
        UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid, collowner, collnamespace FROM pg_catalog.pg_collation WHERE oid >= 16384
        UNION ALL SELECT 'pg_catalog.pg_conversion'::regclass, oid, conowner, connamespace FROM pg_catalog.pg_conversion WHERE oid >= 16384
        UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid, cfgowner, cfgnamespace FROM pg_catalog.pg_ts_config WHERE oid >= 16384
        UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid, dictowner, dictnamespace FROM pg_catalog.pg_ts_dict WHERE oid >= 16384
        -- It fires for changes in every schema.
        UNION ALL SELECT 'pg_catalog.pg_event_trigger'::regclass, oid, evtowner, 'pg_catalog'::regnamespace FROM pg_catalog.pg_event_trigger
    ) AS each (classid, oid, owner, namespace)
    WHERE owner <> ALL ((SELECT trusted FROM role)::oid[])
),
extension AS MATERIALIZED (
    SELECT oid, extname, extowner
    FROM pg_catalog.pg_extension
    WHERE extowner <> ALL ((SELECT trusted FROM role)::oid[]) AND extnamespace IN (SELECT oid FROM space)
),
danger (place, object, reason, cure) AS (
    SELECT 1, pg_catalog.format('the schema %I', nspname), pg_catalog.format('belongs to %I', pg_catalog.pg_get_userbyid(nspowner)),
           pg_catalog.format('ALTER SCHEMA %I OWNER TO %I', nspname, {owner})
    FROM space WHERE nspowner <> ALL ((SELECT trusted FROM role)::oid[])
    UNION ALL
    SELECT 2, who.name, pg_catalog.format('may create in the schema %I, and so plant functions there', s.nspname),
           pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM %s', s.nspname, who.name)
    FROM space AS s
    CROSS JOIN LATERAL pg_catalog.aclexplode(s.nspacl) AS acl
    CROSS JOIN LATERAL (SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END) AS who (name)
    WHERE acl.privilege_type = 'CREATE' AND acl.grantee <> ALL ((SELECT trusted FROM role)::oid[]) AND acl.grantee <> s.nspowner
    UNION ALL
    -- There is no ALTER EXTENSION ... OWNER TO.
    SELECT 3, pg_catalog.format('the extension %I', extname), pg_catalog.format('belongs to %I, who may put functions into it', pg_catalog.pg_get_userbyid(extowner)),
           pg_catalog.format('look at it, then REASSIGN OWNED BY %I TO %I, or DROP EXTENSION %I',
                             pg_catalog.pg_get_userbyid(extowner), {owner}, extname)
    FROM extension
    UNION ALL
    SELECT 4, pg_catalog.pg_describe_object(t.classid, t.objid, 0), pg_catalog.format('belongs to %I', pg_catalog.pg_get_userbyid(t.owner)),
           pg_catalog.format('look at it, then ALTER %1$s %2$s OWNER TO %3$I, or DROP %1$s %2$s', pg_catalog.upper(i.type), i.identity, {owner})
    FROM theirs AS t
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.classid, t.objid, 0) AS i
    WHERE t.namespace IN (SELECT oid FROM space)
      -- An object that comes with another one is listed with that.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = t.classid AND d.objid = t.objid
                        AND (d.deptype = 'i' OR (d.deptype = 'a' AND i.type = 'sequence')
                             OR (d.deptype = 'e' AND d.refobjid IN (SELECT oid FROM extension))))
    UNION ALL
    SELECT 5, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid),
           pg_catalog.format('calls %s, which belongs to %I', pg_catalog.pg_describe_object(t.classid, t.objid, 0), pg_catalog.pg_get_userbyid(t.owner)),
           pg_catalog.format('drop it, or look at what it calls, then ALTER %s %s OWNER TO %I', pg_catalog.upper(i.type), i.identity, {owner})
    FROM theirs AS t
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.classid, t.objid, 0) AS i
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = t.classid AND d.refobjid = t.objid AND d.deptype IN ('n', 'a')
    CROSS JOIN LATERAL (
        SELECT CASE d.classid
            WHEN 'pg_catalog.pg_trigger'::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_trigger AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.tgrelid WHERE x.oid = d.objid)
            WHEN 'pg_catalog.pg_rewrite'::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_rewrite AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.ev_class WHERE x.oid = d.objid)
            WHEN 'pg_catalog.pg_policy'::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_policy AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.polrelid WHERE x.oid = d.objid)
            WHEN 'pg_catalog.pg_attrdef'::regclass THEN
                (SELECT c.relnamespace FROM pg_catalog.pg_attrdef AS x JOIN pg_catalog.pg_class AS c ON c.oid = x.adrelid WHERE x.oid = d.objid)
            WHEN 'pg_catalog.pg_constraint'::regclass THEN (SELECT connamespace FROM pg_catalog.pg_constraint WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_class'::regclass THEN (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_proc'::regclass THEN (SELECT pronamespace FROM pg_catalog.pg_proc WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_operator'::regclass THEN (SELECT oprnamespace FROM pg_catalog.pg_operator WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_type'::regclass THEN (SELECT typnamespace FROM pg_catalog.pg_type WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_opclass'::regclass THEN (SELECT opcnamespace FROM pg_catalog.pg_opclass WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_opfamily'::regclass THEN (SELECT opfnamespace FROM pg_catalog.pg_opfamily WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_amproc'::regclass THEN
                (SELECT f.opfnamespace FROM pg_catalog.pg_amproc AS x JOIN pg_catalog.pg_opfamily AS f ON f.oid = x.amprocfamily WHERE x.oid = d.objid)
            WHEN 'pg_catalog.pg_statistic_ext'::regclass THEN (SELECT stxnamespace FROM pg_catalog.pg_statistic_ext WHERE oid = d.objid)
            WHEN 'pg_catalog.pg_event_trigger'::regclass THEN 'pg_catalog'::regnamespace
            -- A cast has no schema: it is looked for wherever both of its types are.
            WHEN 'pg_catalog.pg_cast'::regclass THEN
                (SELECT CASE WHEN b.typnamespace IN (SELECT oid FROM space) THEN a.typnamespace END
                 FROM pg_catalog.pg_cast AS x JOIN pg_catalog.pg_type AS a ON a.oid = x.castsource JOIN pg_catalog.pg_type AS b ON b.oid = x.casttarget
                 WHERE x.oid = d.objid)
        END) AS place (namespace)
    WHERE t.namespace NOT IN (SELECT oid FROM space UNION ALL SELECT oid FROM platform)
      AND t.classid <> 'pg_catalog.pg_class'::regclass
      AND place.namespace IN (SELECT oid FROM space)
    UNION ALL
    -- To delete a row of ours reaches hers, and a deferred trigger there fires as whoever commits.
    SELECT DISTINCT 6, pg_catalog.pg_describe_object(t.classid, t.objid, 0),
           pg_catalog.format('belongs to %I, refers to %s and has triggers', pg_catalog.pg_get_userbyid(t.owner), k.confrelid::regclass),
           pg_catalog.format('drop its foreign key, or look at its triggers, then ALTER TABLE %s OWNER TO %I', t.objid::regclass, {owner})
    FROM theirs AS t
    JOIN pg_catalog.pg_constraint AS k ON k.conrelid = t.objid AND k.contype = 'f'
    JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid AND c.relnamespace IN (SELECT oid FROM space)
    WHERE t.classid = 'pg_catalog.pg_class'::regclass AND t.namespace NOT IN (SELECT oid FROM space UNION ALL SELECT oid FROM platform)
      AND EXISTS (SELECT FROM pg_catalog.pg_trigger AS x WHERE x.tgrelid = t.objid AND NOT x.tgisinternal)
    UNION ALL
    -- Whoever made it: what we write would not be what stands there.
    SELECT 7, pg_catalog.format('the rule %I on %s', w.rulename, c.oid::regclass), 'changes what is recorded',
           pg_catalog.format('DROP RULE %I ON %s', w.rulename, c.oid::regclass)
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = c.oid
    WHERE c.relnamespace IN (SELECT oid FROM space) AND c.relname IN ('migration_history', 'migration_log') AND c.relkind = 'r'
),
-- Nobody would read thousands of them.
numbered AS (
    SELECT *, row_number() OVER (ORDER BY place, object, reason) AS number, count(*) OVER () AS total FROM danger
)
SELECT coalesce(jsonb_agg(jsonb_build_array(object, reason, cure) ORDER BY number), '[]')
FROM (
    SELECT number, object, reason, cure FROM numbered WHERE number <= 25
    UNION ALL
    SELECT number, pg_catalog.format('and %s more', total - 25), 'are strangers'' or hang on what is', 'the same for each of them'
    FROM numbered WHERE number = 26
) AS shown
