-- Whether the database may set a sequence by itself, into `reads`: by a function, or by an expression that the server keeps
-- parsed (a default, a check, a view, a rule, a trigger's condition, a policy, a function with a parsed body). In a parsed
-- expression setval() is the number of one of its two functions. A database of many schemas has many of both, which take
-- long to read. A session of kimbledb's own therefore keeps the transaction before which none did: the next migration reads
-- those of later transactions alone. The snapshot is that of the search, so that none is missed.
WITH kept AS MATERIALIZED (
    SELECT coalesce(age(nullif(current_setting('kimbledb.searched', true), '')::xid), 2147483647) AS searched
), parsed (made, tree) AS (
    SELECT xmin, prosqlbody FROM pg_proc WHERE oid >= 16384 AND prosqlbody IS NOT NULL
    UNION ALL SELECT xmin, adbin FROM pg_attrdef
    UNION ALL SELECT xmin, conbin FROM pg_constraint WHERE conbin IS NOT NULL
    UNION ALL SELECT xmin, ev_action FROM pg_rewrite WHERE oid >= 16384
    UNION ALL SELECT xmin, ev_qual FROM pg_rewrite WHERE oid >= 16384
    UNION ALL SELECT xmin, tgqual FROM pg_trigger WHERE tgqual IS NOT NULL
    UNION ALL SELECT xmin, polqual FROM pg_policy
    UNION ALL SELECT xmin, polwithcheck FROM pg_policy
)
SELECT EXISTS (
           SELECT FROM pg_proc AS p
           WHERE p.oid >= 16384 AND CASE
               -- A subquery, which is evaluated once.
               WHEN age(p.xmin) <= (SELECT k.searched FROM kept AS k)
               THEN strpos(lower(p.prosrc COLLATE "C"), 'setval') > 0 END)
       OR EXISTS (
           SELECT FROM parsed AS e
           WHERE CASE
               WHEN age(e.made) <= (SELECT k.searched FROM kept AS k)
               THEN e.tree::text COLLATE "C" ~ ':funcid (1576|1765) ' END),
       pg_snapshot_xmin(pg_current_snapshot())::xid::text
INTO reads, searched;
IF NOT reads THEN
    PERFORM set_config('kimbledb.searched', searched, current_setting('kimbledb.own', true) IS DISTINCT FROM 'on');
END IF;
