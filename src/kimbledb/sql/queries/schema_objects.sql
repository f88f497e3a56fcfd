-- The content of a schema, as a reset removes it: its objects in the form in which they are dropped, their dependences,
-- and the outside objects that need one of them. A part of a table (foreign key, policy, trigger, default) is dropped
-- by itself, so that cycles of tables and functions can be dropped without CASCADE. Extensions, their objects and
-- kimbledb's own are left out. Schemas that the migrations made are included with all their objects, and other schemas
-- with the objects that the migrations made there.
WITH RECURSIVE target AS (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {schema}
),
own AS (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY ({own})
),
reached (classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, to_regclass(each)::oid FROM unnest({relations}) AS each
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid FROM unnest({parts}, {homes}) AS part (name, home)
    JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = to_regclass(part.home) AND t.tgname = part.name AND NOT t.tgisinternal
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::regclass, p.oid FROM unnest({parts}, {homes}) AS part (name, home)
    JOIN pg_catalog.pg_policy AS p ON p.polrelid = to_regclass(part.home) AND p.polname = part.name
),
ours (classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, c.oid FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = (SELECT oid FROM target) AND c.relname IN ('migration_history', 'migration_log')
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::regclass, p.oid FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = (SELECT oid FROM target) AND p.proname = 'migration_log_is_append_only'
),
of_extension AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
),
-- Objects that stand for another one: an index for its table, an array for its element,
-- a row type for its table, a constraint that is no foreign key for its table.
meant (classid, objid, toclass, toid) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, i.indexrelid, 'pg_catalog.pg_class'::regclass::oid, i.indrelid FROM pg_catalog.pg_index AS i
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, 'pg_catalog.pg_type'::regclass, c.reltype FROM pg_catalog.pg_class AS c WHERE c.relkind = 'c'
    UNION ALL
    -- A sequence that its column owns goes with it.
    SELECT 'pg_catalog.pg_class'::regclass, d.objid, 'pg_catalog.pg_class'::regclass, d.refobjid
    FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.oid, CASE WHEN own.typrelid <> 0 AND c.relkind <> 'c' THEN 'pg_catalog.pg_class'::regclass ELSE 'pg_catalog.pg_type'::regclass END,
           CASE WHEN own.typrelid <> 0 AND c.relkind <> 'c' THEN own.typrelid ELSE own.oid END
    FROM pg_catalog.pg_type AS t
    LEFT JOIN pg_catalog.pg_type AS element ON element.typarray = t.oid
    LEFT JOIN pg_catalog.pg_range AS r ON r.rngmultitypid = coalesce(element.oid, t.oid)
    JOIN pg_catalog.pg_type AS own ON own.oid = coalesce(r.rngtypid, element.oid, t.oid)
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = own.typrelid
    WHERE own.oid <> t.oid OR (own.typrelid <> 0 AND c.relkind <> 'c')
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid,
           CASE WHEN k.conrelid <> 0 THEN 'pg_catalog.pg_class'::regclass ELSE 'pg_catalog.pg_type'::regclass END,
           CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END
    FROM pg_catalog.pg_constraint AS k WHERE k.contype NOT IN ('f', 'c', 't') OR k.conrelid = 0
    UNION ALL
    -- The constraint of a constraint trigger, for that trigger.
    SELECT 'pg_catalog.pg_constraint'::regclass, t.tgconstraint, 'pg_catalog.pg_trigger'::regclass, t.oid
    FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint AND k.contype = 't'
    UNION ALL
    -- The copies of a foreign key for each partition, and the triggers of constraints.
    SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, 'pg_catalog.pg_constraint'::regclass, k.conparentid
    FROM pg_catalog.pg_constraint AS k WHERE k.contype = 'f' AND k.conparentid <> 0
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 'pg_catalog.pg_constraint'::regclass, t.tgconstraint
    FROM pg_catalog.pg_trigger AS t WHERE t.tgisinternal AND t.tgconstraint <> 0
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::regclass, a.oid, 'pg_catalog.pg_class'::regclass, a.adrelid
    FROM pg_catalog.pg_attrdef AS a JOIN pg_catalog.pg_attribute AS c ON c.attrelid = a.adrelid AND c.attnum = a.adnum
    WHERE c.attgenerated <> ''
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid, 'pg_catalog.pg_class'::regclass, r.ev_class FROM pg_catalog.pg_rewrite AS r WHERE r.rulename = '_RETURN'
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 'pg_catalog.pg_class'::regclass, t.tgrelid FROM pg_catalog.pg_trigger AS t 
    WHERE NOT (t.tgisinternal AND t.tgconstraint <> 0) AND (t.tgisinternal OR t.tgparentid <> 0)
    UNION ALL
    -- The functions and the cast that come with a range.
    SELECT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_catalog.pg_depend AS d
    WHERE d.deptype = 'i' AND d.classid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_cast'::regclass)
    UNION ALL
    SELECT 'pg_catalog.pg_amop'::regclass, o.oid, 'pg_catalog.pg_opfamily'::regclass, o.amopfamily FROM pg_catalog.pg_amop AS o
    UNION ALL
    SELECT 'pg_catalog.pg_amproc'::regclass, p.oid, 'pg_catalog.pg_opfamily'::regclass, p.amprocfamily FROM pg_catalog.pg_amproc AS p
),
-- The independent objects with their schemas, and parts with the schema of their table.
thing (classid, objid, namespace, part) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, oid, relnamespace, false FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL SELECT 'pg_catalog.pg_namespace'::regclass, oid, oid, false FROM own
    UNION ALL SELECT 'pg_catalog.pg_proc'::regclass, oid, pronamespace, false FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_catalog.pg_type'::regclass, oid, typnamespace, false FROM pg_catalog.pg_type
    UNION ALL SELECT 'pg_catalog.pg_collation'::regclass, oid, collnamespace, false FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_catalog.pg_conversion'::regclass, oid, connamespace, false FROM pg_catalog.pg_conversion
    UNION ALL SELECT 'pg_catalog.pg_operator'::regclass, oid, oprnamespace, false FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_catalog.pg_opclass'::regclass, oid, opcnamespace, false FROM pg_catalog.pg_opclass
    UNION ALL SELECT 'pg_catalog.pg_opfamily'::regclass, oid, opfnamespace, false FROM pg_catalog.pg_opfamily
    UNION ALL SELECT 'pg_catalog.pg_ts_config'::regclass, oid, cfgnamespace, false FROM pg_catalog.pg_ts_config
    UNION ALL SELECT 'pg_catalog.pg_ts_dict'::regclass, oid, dictnamespace, false FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT 'pg_catalog.pg_ts_parser'::regclass, oid, prsnamespace, false FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT 'pg_catalog.pg_ts_template'::regclass, oid, tmplnamespace, false FROM pg_catalog.pg_ts_template
    UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::regclass, oid, stxnamespace, false FROM pg_catalog.pg_statistic_ext
    UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, k.connamespace, true FROM pg_catalog.pg_constraint AS k
    UNION ALL SELECT 'pg_catalog.pg_attrdef'::regclass, a.oid, c.relnamespace, true FROM pg_catalog.pg_attrdef AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.adrelid
    UNION ALL SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid, c.relnamespace, true FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
    UNION ALL SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, c.relnamespace, true FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
    UNION ALL SELECT 'pg_catalog.pg_policy'::regclass, p.oid, c.relnamespace, true FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
),
-- To the end: a cast stands for its function, that one for a multirange, that one for its range.
chain (classid, objid, toclass, toid) AS (
    SELECT * FROM meant
    UNION
    SELECT c.classid, c.objid, m.toclass, m.toid FROM chain AS c JOIN meant AS m ON m.classid = c.toclass AND m.objid = c.toid
),
stands AS MATERIALIZED (
    SELECT c.* FROM chain AS c WHERE NOT EXISTS (SELECT FROM meant AS m WHERE m.classid = c.toclass AND m.objid = c.toid)
),
-- The dependences, between the objects that their ends stand for.
need AS MATERIALIZED (
    SELECT DISTINCT coalesce(one.toclass, d.classid) AS classid, coalesce(one.toid, d.objid) AS objid,
           coalesce(other.toclass, d.refclassid) AS refclassid, coalesce(other.toid, d.refobjid) AS refobjid
    FROM pg_catalog.pg_depend AS d
    LEFT JOIN stands AS one ON one.classid = d.classid AND one.objid = d.objid
    LEFT JOIN stands AS other ON other.classid = d.refclassid AND other.objid = d.refobjid
    WHERE d.deptype NOT IN ('e', 'x')
),
inside AS MATERIALIZED (
    SELECT t.*, row_number() OVER (ORDER BY t.classid, t.objid) AS place, called.type, called.name, called.identity,
           CASE WHEN t.namespace = (SELECT oid FROM target) OR t.classid = 'pg_catalog.pg_namespace'::regclass THEN ''
                ELSE t.namespace::regnamespace || '.' END AS home
    FROM thing AS t
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(t.classid, t.objid, 0) AS called
    WHERE (t.namespace = (SELECT oid FROM target) OR t.namespace IN (SELECT oid FROM own)
           OR (t.classid, t.objid) IN (SELECT classid, objid FROM reached WHERE objid IS NOT NULL))
      AND (t.classid, t.objid) NOT IN (SELECT classid, objid FROM of_extension)
      AND (t.classid, t.objid) NOT IN (SELECT classid, objid FROM meant)
      AND (t.classid, t.objid) NOT IN (SELECT classid, objid FROM ours)
      AND NOT (t.part AND EXISTS (
          SELECT FROM need AS n JOIN ours AS o ON o.classid = n.refclassid AND o.objid = n.refobjid
          WHERE n.classid = t.classid AND n.objid = t.objid))
),
edge AS MATERIALIZED (
    SELECT one.place, other.place AS needs, one.part
    FROM need AS n
    JOIN inside AS one ON one.classid = n.classid AND one.objid = n.objid
    JOIN inside AS other ON other.classid = n.refclassid AND other.objid = n.refobjid
    WHERE one.place <> other.place
),
-- A part that needs only its own table is dropped with the table.
dropped AS MATERIALIZED (
    SELECT i.* FROM inside AS i
    WHERE NOT i.part OR (SELECT count(*) FROM edge AS e WHERE e.place = i.place) > 1
       OR (i.classid, i.objid) IN (SELECT classid, objid FROM reached WHERE objid IS NOT NULL)
),
outsider (name, needs) AS (
    SELECT DISTINCT pg_catalog.pg_describe_object(n.classid, n.objid, 0), pg_catalog.pg_describe_object(i.classid, i.objid, 0)
    FROM need AS n
    JOIN inside AS i ON i.classid = n.refclassid AND i.objid = n.refobjid
    LEFT JOIN inside AS own ON own.classid = n.classid AND own.objid = n.objid
    -- Publications only lose the table.
    WHERE own.place IS NULL AND n.classid NOT IN ('pg_catalog.pg_publication_rel'::regclass, 'pg_catalog.pg_default_acl'::regclass)
      -- The toast table of a table, and the parts left out above, which are dropped with it.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE n.classid = 'pg_catalog.pg_class'::regclass AND c.oid = n.objid AND c.relkind = 't')
)
SELECT jsonb_build_object(
    'objects', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'place', d.place,
            'kind', CASE
                WHEN d.type IN ('materialized view', 'view') THEN 'view'
                WHEN d.type IN ('foreign table', 'table') THEN 'table'
                WHEN d.type IN ('aggregate', 'procedure') THEN 'function'
                WHEN d.type IN ('table constraint', 'domain constraint') THEN 'constraint'
                WHEN d.type = 'default value' THEN 'default'
                WHEN d.type = 'statistics object' THEN 'statistics'
                WHEN d.type = 'composite type' THEN 'type'
                ELSE d.type END,
            'name', d.home || CASE d.classid
                WHEN 'pg_catalog.pg_class'::regclass THEN (SELECT c.relname::text FROM pg_catalog.pg_class AS c WHERE c.oid = d.objid)
                WHEN 'pg_catalog.pg_proc'::regclass THEN (
                    SELECT p.proname || '(' || coalesce((
                        SELECT string_agg(format_type(a.type, NULL), ',' ORDER BY a.place)
                        FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, place)), '') || ')'
                    FROM pg_catalog.pg_proc AS p WHERE p.oid = d.objid)
                WHEN 'pg_catalog.pg_type'::regclass THEN (SELECT t.typname::text FROM pg_catalog.pg_type AS t WHERE t.oid = d.objid)
                WHEN 'pg_catalog.pg_constraint'::regclass THEN (
                    SELECT c.relname || '.' || k.conname FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid WHERE k.oid = d.objid)
                WHEN 'pg_catalog.pg_trigger'::regclass THEN (
                    SELECT c.relname || '.' || t.tgname FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid WHERE t.oid = d.objid)
                WHEN 'pg_catalog.pg_policy'::regclass THEN (
                    SELECT c.relname || '.' || p.polname FROM pg_catalog.pg_policy AS p JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid WHERE p.oid = d.objid)
                WHEN 'pg_catalog.pg_attrdef'::regclass THEN (
                    SELECT c.relname || '.' || b.attname FROM pg_catalog.pg_attrdef AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.adrelid
                    JOIN pg_catalog.pg_attribute AS b ON b.attrelid = a.adrelid AND b.attnum = a.adnum WHERE a.oid = d.objid)
                ELSE coalesce(d.name, d.identity) END,
            'statement', CASE d.type
                WHEN 'table constraint' THEN (
                    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) FROM pg_catalog.pg_constraint AS k WHERE k.oid = d.objid)
                WHEN 'default value' THEN (
                    SELECT format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', a.adrelid::regclass, b.attname)
                    FROM pg_catalog.pg_attrdef AS a JOIN pg_catalog.pg_attribute AS b ON b.attrelid = a.adrelid AND b.attnum = a.adnum WHERE a.oid = d.objid)
                ELSE 'DROP ' || CASE
                    WHEN d.classid = 'pg_catalog.pg_proc'::regclass THEN 'ROUTINE'
                    WHEN d.classid = 'pg_catalog.pg_statistic_ext'::regclass THEN 'STATISTICS'
                    WHEN d.classid = 'pg_catalog.pg_type'::regclass AND (SELECT t.typtype FROM pg_catalog.pg_type AS t WHERE t.oid = d.objid) = 'd' THEN 'DOMAIN'
                    WHEN d.classid = 'pg_catalog.pg_type'::regclass THEN 'TYPE'
                    ELSE upper(d.type) END || ' ' || d.identity END,
            'needs', coalesce((SELECT jsonb_agg(DISTINCT e.needs) FROM edge AS e JOIN dropped AS o ON o.place = e.needs WHERE e.place = d.place), '[]'))
            ORDER BY d.place)
        FROM dropped AS d), '[]'),
    'outsiders', coalesce((SELECT jsonb_agg(jsonb_build_array(name, needs) ORDER BY name, needs) FROM outsider), '[]'),
    -- The tables with rows (a partitioned table has them in its partitions), and sequences that belong to no column.
    'with_data', coalesce((
        SELECT jsonb_agg(jsonb_build_array(c.relkind, i.home || c.relname, c.oid::bigint, format('%s.%I', i.namespace::regnamespace, c.relname)) ORDER BY i.home, c.relname)
        FROM inside AS i JOIN pg_catalog.pg_class AS c ON i.classid = 'pg_catalog.pg_class'::regclass AND c.oid = i.objid
        WHERE c.relkind IN ('r', 'S') OR (c.relkind = 'm' AND c.relispopulated)), '[]'))
