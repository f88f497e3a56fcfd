-- The privileges of roles on objects, and those of PostgreSQL's defaults that the owner or PUBLIC lacks.
(SELECT 'privilege', controlled.name || ' to ' || grantee.name,
       json_strip_nulls(json_build_object(
           'may', json_agg(DISTINCT {may:acl}) FILTER (WHERE acl.granted),
           'lacks', json_agg(DISTINCT {may:acl}) FILTER (WHERE NOT acl.granted))),
       NULL::jsonb, controlled.class, controlled.oid, controlled.sub, controlled.owner, NULL
FROM (
    -- when: privileges of relations
    SELECT relation.kind || ' ' || relation.name, relation.class, relation.oid, 0, relation.relowner, relation.relacl,
           acldefault('r', relation.relowner)
    FROM relation WHERE relation.relacl IS NOT NULL
    UNION ALL
    SELECT 'column ' || relation.name || '.' || {quoted:a.attname}, relation.class, relation.oid, a.attnum, relation.relowner, a.attacl, NULL
    FROM relation
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = relation.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    -- end
    -- when: privileges of sequences
    -- there: sequence
    SELECT 'sequence ' || sequence.name, sequence.class, sequence.oid, 0, sequence.relowner, sequence.relacl, acldefault('s', sequence.relowner)
    FROM sequence WHERE sequence.relacl IS NOT NULL
    UNION ALL
    -- end
    -- end
    -- when: privileges of functions
    SELECT 'function ' || routine.name, routine.class, routine.oid, 0, routine.proowner, routine.proacl, acldefault('f', routine.proowner)
    FROM routine WHERE routine.proacl IS NOT NULL
    UNION ALL
    -- end
    -- when: privileges of types
    -- there: type
    SELECT 'type ' || own_type.name, own_type.class, own_type.oid, 0, own_type.typowner, own_type.typacl, acldefault('T', own_type.typowner)
    FROM own_type WHERE own_type.typacl IS NOT NULL
    UNION ALL
    -- end
    -- end
    -- when: the schema
    -- What initdb grants to PUBLIC on the schema "public" is a default, too.
    SELECT CASE home.prefix WHEN '' THEN 'schema' ELSE 'schema ' || left(home.prefix, -1) END, n.tableoid, n.oid, 0, n.nspowner, n.nspacl,
           acldefault('n', n.nspowner) || coalesce((
               SELECT array_agg(item) FROM pg_catalog.pg_init_privs AS i, unnest(i.initprivs) AS item
               WHERE i.classoid = n.tableoid AND i.objoid = n.oid AND item::text LIKE '=%'), '{}')
    FROM pg_catalog.pg_namespace AS n
    JOIN home ON home.oid = n.oid
    WHERE (home.prefix = '' OR home.own) AND n.nspacl IS NOT NULL
    UNION ALL
    -- end
    SELECT '', 0::oid, 0::oid, 0, 0::oid, '{}'::aclitem[], '{}'::aclitem[] WHERE false
) AS controlled (name, class, oid, sub, owner, acl, standard)
CROSS JOIN LATERAL (
    SELECT has.grantee, has.privilege_type, has.is_grantable, true, has.place
    FROM aclexplode(controlled.acl) WITH ORDINALITY AS has (grantor, grantee, privilege_type, is_grantable, place)
    WHERE has.grantee <> controlled.owner
      AND NOT EXISTS (SELECT FROM aclexplode(controlled.standard) AS usual
                      WHERE usual.grantee = has.grantee AND usual.privilege_type = has.privilege_type)
    UNION ALL
    SELECT usual.grantee, usual.privilege_type, false, false, 0
    FROM aclexplode(controlled.standard) AS usual
    WHERE NOT EXISTS (SELECT FROM aclexplode(controlled.acl) AS has
                      WHERE has.grantee = usual.grantee AND has.privilege_type = usual.privilege_type)
) AS acl (grantee, privilege_type, is_grantable, granted, place)
CROSS JOIN LATERAL (SELECT pg_get_userbyid(acl.grantee)) AS role (name)
CROSS JOIN LATERAL (
    SELECT CASE WHEN acl.grantee = 0 THEN 'public' WHEN acl.grantee = controlled.owner THEN 'owner'
                WHEN role.name = 'owner' THEN '"owner"' ELSE {quoted:role.name} END
) AS grantee (name)
GROUP BY controlled.name, controlled.class, controlled.oid, controlled.sub, controlled.owner, grantee.name
ORDER BY min(acl.place))
