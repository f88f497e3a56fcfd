-- Whether a function may set a sequence, into `reads`. A database of many schemas has many functions, and their texts take
-- long to read. A session of kimbledb's own therefore keeps the transaction before which none did: the next migration
-- reads the functions of later transactions alone. The snapshot is that of the search, so that no function is missed.
SELECT EXISTS (
           SELECT FROM pg_proc AS p
           WHERE p.oid >= 16384 AND CASE
               -- A subquery, which is evaluated once.
               WHEN age(p.xmin) <= (SELECT coalesce(age(nullif(current_setting('kimbledb.searched', true), '')::xid), 2147483647))
               THEN strpos(lower(p.prosrc COLLATE "C"), 'setval') > 0 END),
       pg_snapshot_xmin(pg_current_snapshot())::xid::text
INTO reads, searched;
IF NOT reads THEN
    PERFORM set_config('kimbledb.searched', searched, current_setting('kimbledb.own', true) IS DISTINCT FROM 'on');
END IF;
