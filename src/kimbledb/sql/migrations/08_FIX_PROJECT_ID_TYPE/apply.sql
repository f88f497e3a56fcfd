-- FIX_PROJECT_ID_TYPE.sql
--
-- A repair: ids of projects are text, wherever they stand. On a database where
-- they are, it finds nothing to do and writes nothing. On one from before, where
-- they are uuid or varchar, it converts them all at once and keeps every row and
-- relation: what hangs on the columns (keys, policies, views, functions, triggers,
-- rules, publications) is recorded, dropped, and made again as it was. What does
-- not fit the new type, such as a policy that compares with a uuid, or what reaches
-- into another schema, stops it by name with nothing changed.
--
-- A table of somebody's own in this schema whose foreign key leads to a project is
-- converted with it, because a key joins columns of one type.

DO $convert$
DECLARE
    -- The columns and the type that each shall have, and the changes of type that are made for it.
    listed CONSTANT text[] := ARRAY[
        'projects.id text', 'projects.parent_project_id text', 'conversations.project_id text',
        'messages.project_id text', 'knowledge_base.project_id text', 'files.project_id text',
        'audio_transcriptions.project_id text', 'processed_images.project_id text',
        'processed_documents.project_id text', 'device_context.project_id text'];
    changes CONSTANT text[] := ARRAY['uuid to text', 'character varying to text', 'character to text'];
    home CONSTANT oid := quote_ident(current_schema())::regnamespace;
    tables oid[];        -- of each column that changes: its table,
    columns smallint[];  -- its number in the table
    types text[];        -- and its new type
    kept jsonb;          -- what hangs on these columns: how it is dropped and how it is made again
    misfits text[];
    item record;
    part text;
    step text;
    state text;
    message text;
    detail text;
BEGIN
    -- 1. The columns: those listed that have another type, and what foreign keys tie
    --    to them, so that both ends of every key change together.
    SELECT array_agg(tab.oid), array_agg(att.attnum), array_agg(entry.type)
    INTO tables, columns, types
    FROM unnest(listed) AS line
    CROSS JOIN LATERAL (SELECT split_part(line, '.', 1) AS tab,
                               split_part(split_part(line, '.', 2), ' ', 1) AS col,
                               substr(line, strpos(line, ' ') + 1) AS type) AS entry
    JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = home AND tab.relname = entry.tab AND tab.relkind IN ('r', 'p')
    JOIN pg_catalog.pg_attribute AS att ON att.attrelid = tab.oid AND att.attname = entry.col AND NOT att.attisdropped
    WHERE format_type(att.atttypid, NULL) || ' to ' || entry.type = ANY (changes);

    IF tables IS NULL THEN
        RETURN;
    END IF;

    WITH RECURSIVE
    ends (tab, col, other_tab, other_col) AS (
        SELECT con.conrelid, pair.col, con.confrelid, pair.other_col
        FROM pg_catalog.pg_constraint AS con, unnest(con.conkey, con.confkey) AS pair (col, other_col)
        WHERE con.contype = 'f'
        UNION ALL
        SELECT con.confrelid, pair.other_col, con.conrelid, pair.col
        FROM pg_catalog.pg_constraint AS con, unnest(con.conkey, con.confkey) AS pair (col, other_col)
        WHERE con.contype = 'f'
    ),
    changing (tab, col, type) AS (
        SELECT * FROM unnest(tables, columns, types)
        UNION
        SELECT ends.other_tab, ends.other_col, changing.type
        FROM changing
        JOIN ends ON ends.tab = changing.tab AND ends.col = changing.col
        JOIN pg_catalog.pg_class AS tab ON tab.oid = ends.other_tab AND tab.relnamespace = home
        JOIN pg_catalog.pg_attribute AS att ON att.attrelid = tab.oid AND att.attnum = ends.other_col
        WHERE format_type(att.atttypid, NULL) || ' to ' || changing.type = ANY (changes)
    )
    SELECT array_agg(changing.tab), array_agg(changing.col), array_agg(changing.type)
    INTO tables, columns, types
    FROM changing;

    -- All locks at once and in one order, before anything is read that they keep true.
    EXECUTE (SELECT format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', string_agg(DISTINCT tab::regclass::text, ', '))
             FROM unnest(tables) AS tab);

    -- 2. What hangs on them: keys, and what the server refuses to change a column
    --    under (views, functions, policies, triggers, rules, publications), with what
    --    hangs on those views and functions in turn. Indexes, checks and statistics
    --    are not here: the server makes them again by itself.
    WITH RECURSIVE
    changing (tab, col) AS (SELECT * FROM unnest(tables, columns)),
    hanging (class, id, depth) AS (
        SELECT found.class, found.id, 1
        FROM changing
        JOIN pg_catalog.pg_depend AS dep
          ON dep.refclassid = 'pg_class'::regclass AND dep.refobjid = changing.tab AND dep.refobjsubid = changing.col
        LEFT JOIN pg_catalog.pg_rewrite AS rule ON dep.classid = 'pg_rewrite'::regclass AND rule.oid = dep.objid
        CROSS JOIN LATERAL (  -- a view is meant where the server notes its rule
            SELECT CASE rule.rulename WHEN '_RETURN' THEN 'pg_class'::regclass::oid ELSE dep.classid END AS class,
                   CASE rule.rulename WHEN '_RETURN' THEN rule.ev_class ELSE dep.objid END AS id) AS found
        WHERE dep.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass,
                              'pg_publication_rel'::regclass)
        UNION
        SELECT found.class, found.id, hanging.depth + 1
        FROM hanging
        LEFT JOIN pg_catalog.pg_class AS view ON hanging.class = 'pg_class'::regclass AND view.oid = hanging.id
        LEFT JOIN pg_catalog.pg_type AS rowtype ON rowtype.oid = view.reltype
        JOIN pg_catalog.pg_depend AS dep
          ON (dep.refclassid = hanging.class AND dep.refobjid = hanging.id)
          OR (dep.refclassid = 'pg_type'::regclass AND dep.refobjid IN (rowtype.oid, rowtype.typarray))
        LEFT JOIN pg_catalog.pg_rewrite AS rule ON dep.classid = 'pg_rewrite'::regclass AND rule.oid = dep.objid
        CROSS JOIN LATERAL (
            SELECT CASE rule.rulename WHEN '_RETURN' THEN 'pg_class'::regclass::oid ELSE dep.classid END AS class,
                   CASE rule.rulename WHEN '_RETURN' THEN rule.ev_class ELSE dep.objid END AS id) AS found
        WHERE dep.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass)
          AND (found.class, found.id) <> (hanging.class, hanging.id)
    ),
    objects (class, id, depth) AS (
        SELECT class, id, max(depth) FROM hanging GROUP BY class, id
        UNION ALL
        SELECT 'pg_constraint'::regclass, con.oid, 1000  -- keys go first and come last
        FROM pg_catalog.pg_constraint AS con
        WHERE con.contype = 'f' AND con.conparentid = 0
          AND EXISTS (SELECT FROM changing
                      WHERE (changing.tab = con.conrelid AND changing.col = ANY (con.conkey))
                         OR (changing.tab = con.confrelid AND changing.col = ANY (con.confkey)))
    ),
    -- What belongs to a table or view: has a name there, perhaps is switched off.
    parts (class, id, depth, place, word, name, enabled, definition) AS (
        SELECT object.class, object.id, object.depth, con.conrelid, 'CONSTRAINT', con.conname, 'O',
               format('ALTER TABLE %s ADD CONSTRAINT %I %s', con.conrelid::regclass, con.conname, pg_get_constraintdef(con.oid))
        FROM objects AS object
        JOIN pg_catalog.pg_constraint AS con ON object.class = 'pg_constraint'::regclass AND con.oid = object.id
        UNION ALL
        SELECT object.class, object.id, object.depth, trg.tgrelid, 'TRIGGER', trg.tgname, trg.tgenabled, pg_get_triggerdef(trg.oid)
        FROM objects AS object
        JOIN pg_catalog.pg_trigger AS trg ON object.class = 'pg_trigger'::regclass AND trg.oid = object.id AND NOT trg.tgisinternal
        UNION ALL
        SELECT object.class, object.id, object.depth, rule.ev_class, 'RULE', rule.rulename, rule.ev_enabled, pg_get_ruledef(rule.oid)
        FROM objects AS object
        JOIN pg_catalog.pg_rewrite AS rule ON object.class = 'pg_rewrite'::regclass AND rule.oid = object.id
        UNION ALL
        SELECT object.class, object.id, object.depth, pol.polrelid, 'POLICY', pol.polname, 'O',
               format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', pol.polname, pol.polrelid::regclass,
                      CASE WHEN pol.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                      CASE pol.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                      WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                      (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ')
                       FROM unnest(pol.polroles) AS role),
                      ' USING (' || pg_get_expr(pol.polqual, pol.polrelid) || ')',
                      ' WITH CHECK (' || pg_get_expr(pol.polwithcheck, pol.polrelid) || ')')
        FROM objects AS object
        JOIN pg_catalog.pg_policy AS pol ON object.class = 'pg_policy'::regclass AND pol.oid = object.id
    ),
    -- What stands for itself: has an owner and privileges.
    wholes (class, id, depth, space, word, name, kind, owner, acl, definitions) AS (
        SELECT object.class, object.id, object.depth, func.pronamespace,
               CASE func.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, func.oid::regprocedure::text,
               'f'::"char", func.proowner, func.proacl, ARRAY[pg_get_functiondef(func.oid)]
        FROM objects AS object
        JOIN pg_catalog.pg_proc AS func ON object.class = 'pg_proc'::regclass AND func.oid = object.id
        UNION ALL
        SELECT object.class, object.id, object.depth, view.relnamespace,
               CASE view.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, view.oid::regclass::text,
               'r', view.relowner, view.relacl,
               ARRAY[format('CREATE %s %s%s%s%s AS %s%s',
                            CASE view.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, view.oid::regclass,
                            (SELECT format(' USING %I', am.amname) FROM pg_catalog.pg_am AS am WHERE am.oid = view.relam),
                            ' WITH (' || array_to_string(view.reloptions, ', ') || ')',
                            (SELECT format(' TABLESPACE %I', spc.spcname) FROM pg_catalog.pg_tablespace AS spc
                             WHERE spc.oid = view.reltablespace),
                            rtrim(pg_get_viewdef(view.oid), '; '),
                            CASE WHEN NOT view.relispopulated THEN ' WITH NO DATA' END)]
               || ARRAY(SELECT unnest(ARRAY[pg_get_indexdef(idx.indexrelid),
                                            format('COMMENT ON INDEX %s IS %L', idx.indexrelid::regclass,
                                                   obj_description(idx.indexrelid, 'pg_class'))])
                        FROM pg_catalog.pg_index AS idx
                        WHERE idx.indrelid = view.oid)
               || ARRAY(SELECT format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', view.oid::regclass, att.attname,
                                      pg_get_expr(def.adbin, def.adrelid))
                        FROM pg_catalog.pg_attrdef AS def
                        JOIN pg_catalog.pg_attribute AS att ON att.attrelid = def.adrelid AND att.attnum = def.adnum
                        WHERE def.adrelid = view.oid)
               || ARRAY(SELECT format('COMMENT ON COLUMN %s.%I IS %L', view.oid::regclass, att.attname, des.description)
                        FROM pg_catalog.pg_description AS des
                        JOIN pg_catalog.pg_attribute AS att ON att.attrelid = des.objoid AND att.attnum = des.objsubid
                        WHERE des.classoid = 'pg_class'::regclass AND des.objoid = view.oid)
               || ARRAY(SELECT format('GRANT %s (%I) ON %s TO %s%s', acl.privilege_type, att.attname, view.oid::regclass,
                                      CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END,
                                      CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' END)
                        FROM pg_catalog.pg_attribute AS att, aclexplode(att.attacl) AS acl
                        WHERE att.attrelid = view.oid)
        FROM objects AS object
        JOIN pg_catalog.pg_class AS view ON object.class = 'pg_class'::regclass AND view.oid = object.id
    ),
    recipes (class, id, depth, elsewhere, unmake, remake) AS (
        SELECT part.class, part.id, part.depth,
               (SELECT bool_or(tab.relnamespace <> home)
                FROM pg_catalog.pg_class AS tab
                LEFT JOIN pg_catalog.pg_constraint AS con ON part.class = 'pg_constraint'::regclass AND con.oid = part.id
                WHERE tab.oid IN (part.place, con.confrelid)),
               CASE part.word WHEN 'CONSTRAINT' THEN format('ALTER TABLE %s DROP CONSTRAINT %I', part.place::regclass, part.name)
                              ELSE format('DROP %s %I ON %s', part.word, part.name, part.place::regclass) END,
               ARRAY[part.definition,
                     format('COMMENT ON %s %I ON %s IS %L', part.word, part.name, part.place::regclass,
                            obj_description(part.id, part.class::regclass::name)),
                     CASE WHEN part.enabled <> 'O'
                          THEN format('ALTER TABLE %s %s %s %I', part.place::regclass,
                                      CASE part.enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
                                      part.word, part.name) END]
        FROM parts AS part
        UNION ALL
        SELECT whole.class, whole.id, whole.depth, whole.space <> home,
               format('DROP %s %s', whole.word, whole.name),
               whole.definitions
               || format('COMMENT ON %s %s IS %L', whole.word, whole.name, obj_description(whole.id, whole.class::regclass::name))
               -- The privileges as they were, without what default privileges would add to an object made now.
               || CASE WHEN whole.acl IS NOT NULL OR uninvited.roles IS NOT NULL
                       THEN format('REVOKE ALL ON %s %s FROM %s', CASE whole.kind WHEN 'f' THEN whole.word ELSE 'TABLE' END, whole.name,
                                   concat_ws(', ', 'PUBLIC', whole.owner::regrole, uninvited.roles)) END
               || ARRAY(SELECT format('GRANT %s ON %s %s TO %s%s', acl.privilege_type,
                                      CASE whole.kind WHEN 'f' THEN whole.word ELSE 'TABLE' END, whole.name,
                                      CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END,
                                      CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' END)
                        FROM aclexplode(coalesce(whole.acl, acldefault(whole.kind, whole.owner))) AS acl
                        WHERE whole.acl IS NOT NULL OR uninvited.roles IS NOT NULL)
               || CASE WHEN whole.owner <> current_user::regrole
                       THEN format('ALTER %s %s OWNER TO %s', whole.word, whole.name, whole.owner::regrole) END
        FROM wholes AS whole
        CROSS JOIN LATERAL (
            SELECT string_agg(DISTINCT acl.grantee::regrole::text, ', ') AS roles
            FROM pg_catalog.pg_default_acl AS given, aclexplode(given.defaclacl) AS acl
            WHERE given.defaclobjtype = whole.kind AND given.defaclnamespace IN (0, home) AND acl.grantee <> 0) AS uninvited
        UNION ALL
        SELECT object.class, object.id, object.depth, false,
               format('ALTER PUBLICATION %I DROP TABLE %s', pub.pubname, rel.prrelid::regclass),
               ARRAY[format('ALTER PUBLICATION %I ADD TABLE %s%s%s', pub.pubname, rel.prrelid::regclass,
                            (SELECT format(' (%s)', string_agg(quote_ident(att.attname), ', ' ORDER BY att.attnum))
                             FROM pg_catalog.pg_attribute AS att
                             WHERE att.attrelid = rel.prrelid AND att.attnum = ANY (rel.prattrs)
                             HAVING count(*) > 0),
                            ' WHERE (' || pg_get_expr(rel.prqual, rel.prrelid) || ')')]
        FROM objects AS object
        JOIN pg_catalog.pg_publication_rel AS rel ON object.class = 'pg_publication_rel'::regclass AND rel.oid = object.id
        JOIN pg_catalog.pg_publication AS pub ON pub.oid = rel.prpubid
    )
    SELECT jsonb_agg(jsonb_build_object('label', pg_describe_object(class, id, 0), 'depth', depth, 'elsewhere', elsewhere,
                                        'unmake', unmake, 'remake', array_remove(remake, NULL)))
    INTO kept
    FROM recipes;

    -- 3. What does not fit, as far as it can be told before any change. Nothing is done
    --    in other schemas, and a generated column cannot be made again in its place.
    SELECT coalesce(array_agg(found.label || ': ' || found.reason ORDER BY found.label), '{}')
    INTO misfits
    FROM (SELECT object.label, 'it is in another schema, or reaches into one' AS reason
          FROM jsonb_to_recordset(kept) AS object (label text, elsewhere boolean)
          WHERE object.elsewhere
          UNION
          SELECT pg_describe_object('pg_class'::regclass, def.adrelid, def.adnum), 'it is generated from a column that changes'
          FROM unnest(tables, columns) AS changing (tab, col)
          JOIN pg_catalog.pg_depend AS dep
            ON dep.refclassid = 'pg_class'::regclass AND dep.refobjid = changing.tab AND dep.refobjsubid = changing.col
          JOIN pg_catalog.pg_attrdef AS def
            ON dep.classid = 'pg_attrdef'::regclass AND def.oid = dep.objid AND (def.adrelid, def.adnum) <> (changing.tab, changing.col)
          UNION
          SELECT pg_describe_object('pg_class'::regclass, idx.indexrelid, 0),
                 format('its operator class %s is not for %s', opc.opcname, changing.type)
          FROM unnest(tables, columns, types) AS changing (tab, col, type)
          JOIN pg_catalog.pg_index AS idx ON idx.indrelid = changing.tab
          CROSS JOIN unnest(idx.indkey::smallint[], idx.indclass::oid[]) AS key (col, opclass)
          JOIN pg_catalog.pg_opclass AS opc ON opc.oid = key.opclass
          WHERE key.col = changing.col AND NOT opc.opcdefault AND opc.opcintype <> changing.type::regtype) AS found;
    --    Expressions of checks, indexes and statistics: do they parse over the new types?
    FOR item IN
        SELECT pg_describe_object(found.class, found.id, 0) AS label, found.expression, found.tab,
               (SELECT string_agg(concat(quote_ident(att.attname), '::' || changing.type || ' AS ' || quote_ident(att.attname)), ', ')
                FROM pg_catalog.pg_attribute AS att
                LEFT JOIN unnest(tables, columns, types) AS changing (tab, col, type)
                  ON changing.tab = att.attrelid AND changing.col = att.attnum
                WHERE att.attrelid = found.tab AND att.attnum > 0 AND NOT att.attisdropped) AS columns
        FROM (SELECT 'pg_constraint'::regclass::oid, con.oid, con.conrelid, pg_get_expr(con.conbin, con.conrelid)
              FROM pg_catalog.pg_constraint AS con
              WHERE con.contype = 'c' AND con.conrelid = ANY (tables)
              UNION ALL
              SELECT 'pg_class'::regclass, idx.indexrelid, idx.indrelid,
                     concat_ws(', ', pg_get_expr(idx.indexprs, idx.indrelid), pg_get_expr(idx.indpred, idx.indrelid))
              FROM pg_catalog.pg_index AS idx
              WHERE (idx.indexprs IS NOT NULL OR idx.indpred IS NOT NULL) AND idx.indrelid = ANY (tables)
              UNION ALL
              SELECT 'pg_statistic_ext'::regclass, stx.oid, stx.stxrelid,
                     array_to_string(pg_get_statisticsobjdef_expressions(stx.oid), ', ')
              FROM pg_catalog.pg_statistic_ext AS stx
              WHERE stx.stxexprs IS NOT NULL AND stx.stxrelid = ANY (tables)) AS found (class, id, tab, expression)
        ORDER BY label
    LOOP
        BEGIN
            EXECUTE format('SELECT %s FROM (SELECT %s FROM %s) AS probe WHERE false', item.expression, item.columns, item.tab::regclass);
        EXCEPTION WHEN others THEN
            misfits := misfits || format('%s: %s', item.label, SQLERRM);
        END;
    END LOOP;
    IF misfits <> '{}' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('types cannot change because of %s', array_to_string(misfits, '; ')),
            HINT = 'Nothing was changed. Drop it, or make it fit the new type, and run this again.';
    END IF;

    -- 4. Drop, change, make again. An error anywhere undoes all of it and names the object.
    BEGIN
        FOR item IN
            SELECT object.label, object.unmake
            FROM jsonb_to_recordset(kept) AS object (label text, depth integer, unmake text)
            ORDER BY object.depth DESC, object.label
        LOOP
            step := item.label;
            part := item.unmake;
            EXECUTE part;
        END LOOP;
        FOR item IN
            SELECT pg_describe_object('pg_class'::regclass, changing.tab, 0) AS label,
                   format('ALTER TABLE %s %s', changing.tab::regclass, string_agg(concat_ws(', ',
                       'ALTER COLUMN ' || quote_ident(att.attname) || CASE WHEN def.oid IS NOT NULL THEN ' DROP DEFAULT' END,
                       format('ALTER COLUMN %I TYPE %s USING ', att.attname, changing.type)
                           || CASE WHEN att.atttypid = 'timestamp'::regtype THEN format('timezone(''UTC'', %I)', att.attname)
                                   ELSE format('%I::%s', att.attname, changing.type) END,
                       format('ALTER COLUMN %I SET DEFAULT (', att.attname)
                           || pg_get_expr(def.adbin, def.adrelid) || ')::' || changing.type), ', ')) AS change,
                   format('ANALYZE %s', changing.tab::regclass) AS survey
            FROM unnest(tables, columns, types) AS changing (tab, col, type)
            JOIN pg_catalog.pg_attribute AS att ON att.attrelid = changing.tab AND att.attnum = changing.col
            LEFT JOIN pg_catalog.pg_attrdef AS def ON def.adrelid = changing.tab AND def.adnum = changing.col
            GROUP BY changing.tab
            ORDER BY label
        LOOP
            step := item.label;
            part := item.change;
            EXECUTE part;
            EXECUTE item.survey;
        END LOOP;
        FOR item IN
            SELECT object.label, object.remake
            FROM jsonb_to_recordset(kept) AS object (label text, depth integer, remake text[])
            ORDER BY object.depth, object.label
        LOOP
            step := item.label;
            FOREACH part IN ARRAY item.remake LOOP
                EXECUTE part;
            END LOOP;
        END LOOP;
    EXCEPTION WHEN others THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION USING
            ERRCODE = state,
            MESSAGE = format('types cannot change because of %s: %s', step, message),
            DETAIL = concat_ws(E'\n', nullif(detail, ''), part),
            HINT = 'Nothing was changed. Drop it, or make it fit the new type, and run this again.';
    END;
END
$convert$;

-- An index that a failed build left invalid is built again; one that somebody is
-- building at this moment is theirs.
DO $indexes$
DECLARE
    broken record;
BEGIN
    FOR broken IN
        SELECT idx.indexrelid::regclass AS name
        FROM pg_catalog.pg_index AS idx
        JOIN pg_catalog.pg_class AS tab ON tab.oid = idx.indrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind = 'r'
          AND tab.relname IN ('projects', 'conversations', 'messages', 'knowledge_base', 'files', 'audio_transcriptions',
                          'processed_images', 'processed_documents', 'device_context')
          AND NOT (idx.indisvalid AND idx.indisready)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS build WHERE build.index_relid = idx.indexrelid)
    LOOP
        EXECUTE format('REINDEX INDEX %s', broken.name);
    END LOOP;
END
$indexes$;

-- Ids that the application does not send have a default.
DO $defaults$
DECLARE
    col record;
BEGIN
    FOR col IN
        SELECT wanted.*
        FROM (VALUES
            ('projects', 'id', 'text', 'gen_random_uuid()::text')
        ) AS wanted (tab, name, type, fallback)
        JOIN pg_catalog.pg_class AS tab
          ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind = 'r' AND tab.relname = wanted.tab
        JOIN pg_catalog.pg_attribute AS att ON att.attrelid = tab.oid AND att.attname = wanted.name AND NOT att.attisdropped
        WHERE NOT att.atthasdef AND att.atttypid = wanted.type::regtype
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT ', col.tab, col.name) || col.fallback;
    END LOOP;
END
$defaults$;

-- The checks that could not be while the types differed.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('projects', 'projects_parent_project_id_check', ARRAY['projects.id', 'projects.parent_project_id'], 'CHECK (parent_project_id <> id)')
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = listed.tab AND present.conname = listed.name)
    LOOP
        CONTINUE WHEN cardinality(wanted.compares) <> (
            SELECT count(*)
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND tab.relname || '.' || col.attname = ANY (wanted.compares) AND col.atttypid = 'text'::regtype);
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition;
    END LOOP;
END
$checks$;

-- The keys that could not be while the types differed.
DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT *
        FROM (VALUES
            ('projects', 'projects_parent_project_id_fkey', 'parent_project_id', 'projects', 'id', 'SET NULL'),
            ('messages', 'messages_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('knowledge_base', 'knowledge_base_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('files', 'files_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('processed_images', 'processed_images_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('processed_documents', 'processed_documents_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('audio_transcriptions', 'audio_transcriptions_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('conversations', 'conversations_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL')
        ) AS wanted (child, name, child_column, parent, parent_column, on_delete)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = wanted.child AND present.conname = wanted.name)
          AND (SELECT count(*) = 2 AND count(DISTINCT col.atttypid) = 1
               FROM (VALUES (wanted.child, wanted.child_column), (wanted.parent, wanted.parent_column)) AS ends (tab, col)
               JOIN pg_catalog.pg_class AS tab
                 ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = ends.tab
               JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = ends.col AND NOT col.attisdropped)
    LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

-- The policies that could not be while the types differed.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('messages', 'messages_owner',
             ARRAY['messages.conversation_id', 'messages.user_id', 'messages.project_id', 'conversations.id', 'conversations.user_id', 'projects.id', 'projects.owner_id'],
             'USING (EXISTS (SELECT FROM conversations AS c WHERE c.id = messages.conversation_id AND c.user_id = (SELECT requesting_user_id())))'
             ' WITH CHECK (EXISTS (SELECT FROM conversations AS c WHERE c.id = messages.conversation_id AND c.user_id = (SELECT requesting_user_id()))'
             ' AND (user_id IS NULL OR user_id = (SELECT requesting_user_id()))'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = messages.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('knowledge_base', 'knowledge_base_owner', ARRAY['knowledge_base.user_id', 'knowledge_base.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = knowledge_base.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('files', 'files_owner', ARRAY['files.user_id', 'files.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = files.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('processed_images', 'processed_images_owner', ARRAY['processed_images.user_id', 'processed_images.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = processed_images.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('processed_documents', 'processed_documents_owner', ARRAY['processed_documents.user_id', 'processed_documents.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = processed_documents.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('audio_transcriptions', 'audio_transcriptions_own_project', ARRAY['audio_transcriptions.project_id', 'projects.id', 'projects.owner_id'],
             'AS RESTRICTIVE WITH CHECK (project_id IS NULL OR EXISTS ('
             'SELECT FROM projects AS project WHERE project.id = audio_transcriptions.project_id AND project.owner_id = (SELECT requesting_user_id())))'),
            ('conversations', 'conversations_own_project', ARRAY['conversations.project_id', 'projects.id', 'projects.owner_id'],
             'AS RESTRICTIVE WITH CHECK (project_id IS NULL OR EXISTS ('
             'SELECT FROM projects AS project WHERE project.id = conversations.project_id AND project.owner_id = (SELECT requesting_user_id())))')
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policy AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.polrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = listed.tab AND present.polname = listed.name)
    LOOP
        CONTINUE WHEN cardinality(wanted.compares) <> (
            SELECT count(*)
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND tab.relname || '.' || col.attname = ANY (wanted.compares) AND col.atttypid = 'text'::regtype);
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

-- The triggers that could not be while the types differed.
DO $triggers$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('audio_transcriptions', 'audio_transcriptions_general_project', ARRAY['audio_transcriptions.project_id'],
             'BEFORE INSERT OR UPDATE OF project_id', 'general_project_is_none')
        ) AS listed (tab, name, compares, occasion, action)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.tgrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = listed.tab AND present.tgname = listed.name)
    LOOP
        CONTINUE WHEN cardinality(wanted.compares) <> (
            SELECT count(*)
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND tab.relname || '.' || col.attname = ANY (wanted.compares) AND col.atttypid = 'text'::regtype);
        EXECUTE format('CREATE TRIGGER %I %s ON %I FOR EACH ROW EXECUTE FUNCTION %I()',
                       wanted.name, wanted.occasion, wanted.tab, wanted.action);
    END LOOP;
END
$triggers$;
