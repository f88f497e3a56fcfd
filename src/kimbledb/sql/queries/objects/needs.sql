-- The objects that each object needs, by the server's record of dependences: rows of kind, name, kind and name. A part
-- that is no object of its own stands for the object that it belongs to.
(WITH direct (class, oid, sub, kind, name) AS (
    SELECT class, oid, sub, kind, name FROM object
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = object.oid AND r.rulename = '_RETURN' WHERE object.kind = 'view'
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.oid, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_type AS t ON t.typrelid = object.oid WHERE object.kind IN ('table', 'view')
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, t.typrelid, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_type AS t ON t.oid = object.oid AND t.typrelid <> 0 WHERE object.kind = 'type'
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, r.rngmultitypid, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_range AS r ON r.rngtypid = object.oid WHERE object.kind = 'type'
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, con.oid, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_constraint AS con ON con.contypid = object.oid WHERE object.kind = 'type'
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, con.conindid, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_constraint AS con ON con.oid = object.oid AND con.contype IN ('p', 'u', 'x') WHERE object.kind = 'constraint'
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, t.tgconstraint, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_trigger AS t ON t.oid = object.oid AND t.tgconstraint <> 0 WHERE object.kind = 'trigger'
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::regclass, d.oid, 0, object.kind, object.name
    FROM object JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = object.oid AND d.adnum = object.sub WHERE object.kind = 'column'
    UNION ALL
    SELECT sequence.class, sequence.oid, 0, object.kind, object.name
    FROM object JOIN sequence ON sequence.owned = 'i' AND sequence.owner_table = object.oid AND sequence.owner_column = object.sub
    WHERE object.kind = 'column'
    UNION ALL
    SELECT d.classid, d.objid, 0, object.kind, object.name
    FROM object
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = object.class AND d.refobjid = object.oid
         AND d.classid IN ('pg_catalog.pg_amop'::regclass, 'pg_catalog.pg_amproc'::regclass)
    WHERE object.kind IN ('operator class', 'operator family')
),
known AS (
    SELECT class, oid, sub, kind, name FROM direct
    UNION ALL
    SELECT direct.class, t.typarray, 0, direct.kind, direct.name
    FROM direct JOIN pg_catalog.pg_type AS t ON t.oid = direct.oid AND t.typarray <> 0
    WHERE direct.class = 'pg_catalog.pg_type'::regclass
)
SELECT jsonb_agg(DISTINCT jsonb_build_array(one.kind, one.name, other.kind, other.name))
FROM pg_catalog.pg_depend AS d
JOIN known AS one ON one.class = d.classid AND one.oid = d.objid AND one.sub = d.objsubid
JOIN known AS other ON other.class = d.refclassid AND other.oid = d.refobjid AND other.sub = d.refobjsubid
-- The index of a partition is attached to that of its parent: neither needs the other. A function may call itself.
WHERE d.deptype NOT IN ('e', 'x', 'P') AND ((one.kind, one.name) <> (other.kind, other.name) OR one.kind = 'function'))
