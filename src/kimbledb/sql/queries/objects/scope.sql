-- The rows of the system catalogs that a snapshot looks at. The fragments in this folder read from these.
--
-- {quoted:x} is an identifier as the names of objects hold it; {named:x} holds where x is one of the names that were
-- asked for. A prefix is empty in the target schema; elsewhere it is the schema's name and a dot.
-- kimbledb's own objects and members of extensions are left out.
--
-- Columns of catalogs that older versions lack: in a subquery an unqualified name means the catalog's column where there
-- is one, and the default in "older" where there is none.
WITH home (oid, prefix, wanted, own) AS (
    SELECT n.oid, place.prefix, place.wanted, place.own
    FROM {path_first}pg_catalog.pg_namespace AS n
    JOIN (VALUES {homes}) AS place (name, prefix, wanted, own) ON place.name = n.nspname
),
older (conenforced, conperiod, colllocale, colliculocale, collicurules) AS (
    VALUES (true, false, NULL::text, NULL::text, NULL::text)
),
scope (oid) AS (
    {related}
),
class AS (
    SELECT c.tableoid AS class, c.oid, home.prefix || {quoted:c.relname} AS name, c.relname, c.relkind, c.relowner, c.relacl,
           c.relpersistence, c.relam, c.reltablespace, c.reltoastrelid, c.reloptions, c.relrowsecurity,
           c.relforcerowsecurity, c.relreplident, c.relispartition, c.relpartbound, c.reloftype
    FROM pg_catalog.pg_class AS c
    JOIN home ON home.oid = c.relnamespace
    WHERE {in_scope:c.oid}
      AND c.relname NOT IN ('migration_history', 'migration_log', 'migration_history_id_seq', 'migration_log_id_seq')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
relation AS (
    SELECT CASE WHEN class.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END AS kind, class.class, class.oid, class.name,
           class.relname, class.relowner, class.relacl, class.relpersistence, class.relispartition
    FROM class WHERE class.relkind IN ('r', 'p', 'v', 'm', 'f')
),
-- Constraint triggers are triggers. A foreign key to a partitioned table has a copy for each partition.
bound AS (
    SELECT con.* FROM older
    CROSS JOIN LATERAL (
        SELECT con.tableoid AS class, con.oid, relation.name AS relation_name, relation.relowner, con.conname, con.contype,
               con.conrelid, con.conindid, con.conkey, con.conbin, con.connoinherit, con.convalidated, con.coninhcount,
               con.conislocal, conenforced
        FROM pg_catalog.pg_constraint AS con
        JOIN relation ON relation.oid = con.conrelid
        WHERE con.contype <> 't'
          AND (con.conparentid = 0 OR NOT EXISTS (
                  SELECT FROM pg_catalog.pg_constraint AS parent
                  WHERE parent.oid = con.conparentid AND parent.conrelid = con.conrelid))
    ) AS con
),
-- Sequences of identity columns, too; these are facts of their column.
sequence AS (
    SELECT class.class, class.oid, class.name, class.relname, class.relowner, class.relacl, class.relpersistence, d.deptype AS owned, d.refobjid AS owner_table, d.refobjsubid AS owner_column
    FROM class
    LEFT JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = class.oid AND d.objsubid = 0
       AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    WHERE class.relkind = 'S'
),
routine AS (
    SELECT p.tableoid AS class, p.oid, p.proname, p.proowner, p.proacl, p.prokind, p.prolang, p.provolatile, p.proparallel,
           p.proisstrict, p.prosecdef, p.proleakproof, p.proretset, p.procost, p.prorows, p.prosupport, p.proconfig, p.prosrc,
           p.probin, p.prosqlbody IS NOT NULL AS atomic, p.pronargs, p.pronargdefaults, p.proargmodes, p.protrftypes,
           p.pronamespace,
           home.prefix || {quoted:p.proname} || '(' || array_to_string(p.proargtypes::regtype[], ',') || ')' AS name
    FROM pg_catalog.pg_proc AS p
    JOIN home ON home.oid = p.pronamespace
    WHERE {named:p.proname}
      AND p.proname <> 'migration_log_is_append_only'
      -- Nor the functions that come with a range type.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
),
own_type AS (
    SELECT t.tableoid AS class, t.oid, home.prefix || {quoted:t.typname} AS name, t.typname, t.typowner, t.typacl, t.typtype, t.typrelid,
           t.typbasetype, t.typtypmod, t.typnotnull, t.typdefault, t.typdefaultbin, t.typcollation
    FROM pg_catalog.pg_type AS t
    JOIN home ON home.oid = t.typnamespace
    WHERE {named:t.typname}
      AND (t.typtype IN ('e', 'd', 'r')
           OR (t.typtype = 'c' AND (SELECT c.relkind FROM pg_catalog.pg_class AS c WHERE c.oid = t.typrelid) = 'c'))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
)
