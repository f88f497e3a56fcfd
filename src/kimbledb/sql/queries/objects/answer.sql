-- The rows of a snapshot: kind, name, facts, expressions, and the details that are asked for. In the order in which they
-- were made, and privileges in that in which they were granted, where what they need is asked for, too.
{scope},
object (kind, name, facts, expressions, class, oid, sub, owner, source) AS (
{objects}
)
SELECT json_build_object('details', {details}::json, 'objects', coalesce(json_agg(CASE
    -- when: detail
    WHEN true THEN json_build_array(
        kind, name, facts, expressions
        -- when: form
        , md5(expressions::text)
        -- end
        -- when: identity
        , json_build_array(CASE WHEN kind IN ('comment', 'privilege') THEN kind || ' on ' ELSE '' END || class::regclass::text, oid::bigint, sub)
        -- end
        -- when: source
        , source
        -- end
        -- when: owner
        , pg_get_userbyid(owner)
        -- end
        -- when: home
        , CASE WHEN kind IN ('table', 'view', 'column', 'function') THEN json_build_array(class::regclass::text, oid::bigint)
          ELSE coalesce((SELECT json_build_array(part.class::regclass::text, part.oid::bigint) FROM ({part_of:answered}) AS part (class, oid)),
                        json_build_array(class::regclass::text, oid::bigint)) END
        -- end
    )
    -- end
    WHEN expressions IS NULL THEN json_build_array(kind, name, facts)
    ELSE json_build_array(kind, name, facts, expressions) END
    -- when: needs
    ORDER BY oid, sub, place
    -- end
), '[]'), 'needs', {needs_rows}
    -- when: privilege
    -- The roles whose privileges API users have as members.
    , 'inherited', (
        SELECT json_agg(DISTINCT {quoted:r.rolname})
        FROM pg_catalog.pg_roles AS person
        JOIN pg_catalog.pg_roles AS r ON r.oid <> person.oid AND pg_has_role(person.oid, r.oid, 'USAGE')
        WHERE person.rolname IN ('anon', 'authenticated') AND NOT person.rolsuper)
    -- end
    -- when: owner
    -- Default privileges, those of all schemas, too: of which role, on what, to whom.
    , 'defaults', (
        SELECT json_agg(json_build_array(d.defaclobjtype, pg_get_userbyid(d.defaclrole),
                                         CASE acl.grantee WHEN 0 THEN 'public' ELSE {quoted:role.name} END, {may:acl},
                                         -- Whether they are those of the role that migrates, and for others.
                                         acl.grantee <> d.defaclrole AND d.defaclrole = coalesce(
                                             (SELECT c.relowner FROM pg_catalog.pg_class AS c JOIN home ON home.oid = c.relnamespace
                                              WHERE home.prefix = '' AND c.relname = 'migration_history'),
                                             (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user))))
        FROM pg_catalog.pg_default_acl AS d
        CROSS JOIN LATERAL aclexplode(d.defaclacl) AS acl
        CROSS JOIN LATERAL (SELECT pg_get_userbyid(acl.grantee)) AS role (name)
        WHERE d.defaclnamespace = 0 OR d.defaclnamespace IN (SELECT home.oid FROM home))
    -- end
)
FROM (
SELECT *
-- when: needs
, row_number() OVER () AS place
-- end
FROM (
SELECT * FROM object
{others}
) AS answered
) AS answered
