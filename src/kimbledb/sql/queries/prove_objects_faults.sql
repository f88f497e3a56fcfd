-- The faults of declared objects, each as [key, fault, detail]. $1 is the objects found, each with its fault; $2 the
-- keys that must be found, $3 those that must not, $4 the declared states other than the usual ones.
SELECT jsonb_agg(jsonb_build_array(key, fault, detail))
FROM (
    -- A script that ran without an error passed over a role that this server lacks.
    SELECT key, 'missing', NULL FROM unnest($2) AS key
    WHERE NOT $1 ? key AND NOT (key LIKE '%privilege %' AND to_regrole(substring(key FROM '.* to (.*)')) IS NULL AND key NOT LIKE '% to public')
    UNION ALL
    SELECT key, 'there', NULL FROM unnest($3) AS key WHERE $1 ? key
    UNION ALL
    -- Any trusted owner is accepted.
    SELECT key, fault->>0, CASE fault->>0 WHEN 'owner' THEN pg_get_userbyid((fault->>1)::oid) ELSE fault->>1 END
    FROM jsonb_each($1) AS found (key, fault)
    WHERE key = ANY ($2) AND fault <> 'null' AND CASE fault->>0
        WHEN 'owner' THEN (fault->>1)::oid <> ALL ((
{trusted}
        )::oid[])
        WHEN 'enabled' THEN fault->>1 <> coalesce($4->>key, 'O')
        WHEN 'lacks' THEN true
        ELSE NOT $4 ? key END
    UNION ALL
    SELECT key, 'enabled', 'O' FROM jsonb_each_text($4) AS declared (key, state) WHERE state IN ('D', 'R', 'A') AND $1->key = 'null'
) AS each (key, fault, detail)
