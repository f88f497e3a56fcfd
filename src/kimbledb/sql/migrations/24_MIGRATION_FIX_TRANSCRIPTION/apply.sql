-- MIGRATION_FIX_TRANSCRIPTION.sql
--
-- A repair: audio_transcriptions as COMPLETE_MIGRATION.sql and
-- add-transcription-job-tracking.sql want it, in full. On a database where it is so,
-- it finds nothing to do and writes nothing. Elsewhere it gives columns their type,
-- adds what is missing, and takes away what stands there twice; rows are kept. What
-- hangs on a column whose type changes (views, policies, triggers and so on) is
-- recorded, dropped, and made again as it was; what does not fit the new type stops
-- the repair by name with nothing changed.
--
-- Not here: ids of people and projects (COMPREHENSIVE_TYPE_FIX.sql), and an id that
-- is a number, which stays one: others may have written it down.

DO $convert$
DECLARE
    -- The columns and the type that each shall have, and the changes of type that are made for it.
    listed CONSTANT text[] := ARRAY[
        'audio_transcriptions.file_id text', 'audio_transcriptions.filename text',
        'audio_transcriptions.file_size bigint', 'audio_transcriptions.duration double precision',
        'audio_transcriptions.text text', 'audio_transcriptions.content text', 'audio_transcriptions.segments jsonb',
        'audio_transcriptions.words jsonb', 'audio_transcriptions.utterances jsonb',
        'audio_transcriptions.chapters jsonb', 'audio_transcriptions.language text',
        'audio_transcriptions.storage_url text', 'audio_transcriptions.metadata jsonb',
        'audio_transcriptions.is_active boolean', 'audio_transcriptions.detected_at timestamp with time zone',
        'audio_transcriptions.created_at timestamp with time zone',
        'audio_transcriptions.updated_at timestamp with time zone', 'audio_transcriptions.job_id text',
        'audio_transcriptions.assemblyai_id text', 'audio_transcriptions.service text',
        'audio_transcriptions.status text', 'audio_transcriptions.progress integer',
        'audio_transcriptions.error_message text', 'audio_transcriptions.error text',
        'audio_transcriptions.job_metadata jsonb', 'audio_transcriptions.job_submitted_at timestamp with time zone',
        'audio_transcriptions.job_completed_at timestamp with time zone'];
    changes CONSTANT text[] := ARRAY[
        'uuid to text', 'character varying to text', 'character to text', 'smallint to integer',
        'smallint to bigint', 'integer to bigint', 'integer to double precision', 'bigint to double precision',
        'numeric to double precision', 'real to double precision', 'json to jsonb', 'text to jsonb',
        'timestamp without time zone to timestamp with time zone'];
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
          AND tab.relname IN ('audio_transcriptions')
          AND NOT (idx.indisvalid AND idx.indisready)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS build WHERE build.index_relid = idx.indexrelid)
    LOOP
        EXECUTE format('REINDEX INDEX %s', broken.name);
    END LOOP;
END
$indexes$;

-- What is missing is made. Keys and policies wait where a column that they compare is
-- not text. What says the same as one of these under another name is dropped.
DO $complete$
DECLARE
    home CONSTANT oid := quote_ident(current_schema())::regnamespace;
    parts jsonb;
    part record;
BEGIN
    SELECT jsonb_agg(to_jsonb(wanted))
    INTO parts
    FROM (
        SELECT *, NULL::text[] AS compares
        FROM (VALUES
            ('column', 'audio_transcriptions', 'id', 'uuid NOT NULL DEFAULT gen_random_uuid()'),
            ('column', 'audio_transcriptions', 'user_id', 'text'),
            ('column', 'audio_transcriptions', 'file_id', 'text'),
            ('column', 'audio_transcriptions', 'filename', 'text'),
            ('column', 'audio_transcriptions', 'file_size', 'bigint'),
            ('column', 'audio_transcriptions', 'duration', 'double precision'),
            ('column', 'audio_transcriptions', 'text', 'text'),
            ('column', 'audio_transcriptions', 'content', 'text'),
            ('column', 'audio_transcriptions', 'segments', 'jsonb'),
            ('column', 'audio_transcriptions', 'words', 'jsonb'),
            ('column', 'audio_transcriptions', 'utterances', 'jsonb'),
            ('column', 'audio_transcriptions', 'chapters', 'jsonb'),
            ('column', 'audio_transcriptions', 'language', 'text'),
            ('column', 'audio_transcriptions', 'storage_url', 'text'),
            ('column', 'audio_transcriptions', 'metadata', 'jsonb DEFAULT ''{}'''),
            ('column', 'audio_transcriptions', 'is_active', 'boolean NOT NULL DEFAULT true'),
            ('column', 'audio_transcriptions', 'detected_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('column', 'audio_transcriptions', 'created_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('column', 'audio_transcriptions', 'updated_at', 'timestamptz NOT NULL DEFAULT now()'),
            ('constraint', 'audio_transcriptions', 'audio_transcriptions_pkey', 'PRIMARY KEY (id)'),
            ('constraint', 'audio_transcriptions', 'audio_transcriptions_file_size_check', 'CHECK (file_size >= 0)'),
            ('constraint', 'audio_transcriptions', 'audio_transcriptions_duration_check', 'CHECK (duration >= 0)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_user_id', '(user_id, created_at DESC)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_file_id', '(file_id)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_filename', 'USING gin (filename gin_trgm_ops)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_text', 'USING gin (text gin_trgm_ops)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_metadata', 'USING gin (metadata)'),
            ('comment', 'audio_transcriptions', 'file_id',
             'The uploaded file; a plain value, since uploads live outside of this schema.'),
            ('comment', 'audio_transcriptions', 'duration', 'Seconds.'),
            ('comment', 'audio_transcriptions', 'segments', 'Parts with their times.'),
            ('trigger', 'audio_transcriptions', 'audio_transcriptions_set_updated_at',
             'BEFORE UPDATE ON audio_transcriptions FOR EACH ROW EXECUTE FUNCTION set_updated_at()'),
            ('row level security', 'audio_transcriptions', 'audio_transcriptions', NULL),
            ('column', 'audio_transcriptions', 'job_id', 'text'),
            ('column', 'audio_transcriptions', 'assemblyai_id', 'text'),
            ('column', 'audio_transcriptions', 'service', 'text'),
            ('column', 'audio_transcriptions', 'status', 'text DEFAULT ''pending'''),
            ('column', 'audio_transcriptions', 'progress', 'integer DEFAULT 0'),
            ('column', 'audio_transcriptions', 'error_message', 'text'),
            ('column', 'audio_transcriptions', 'error', 'text'),
            ('column', 'audio_transcriptions', 'job_metadata', 'jsonb NOT NULL DEFAULT ''{}'''),
            ('column', 'audio_transcriptions', 'job_submitted_at', 'timestamptz'),
            ('column', 'audio_transcriptions', 'job_completed_at', 'timestamptz'),
            ('constraint', 'audio_transcriptions', 'audio_transcriptions_progress_check', 'CHECK (progress BETWEEN 0 AND 100)'),
            ('constraint', 'audio_transcriptions', 'audio_transcriptions_job_completed_at_check',
             'CHECK (job_completed_at >= job_submitted_at)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_job_id', '(job_id)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_assemblyai_id', '(assemblyai_id)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_status', '(user_id, status, created_at DESC)'),
            ('index', 'audio_transcriptions', 'idx_audio_transcriptions_open_jobs',
             '(created_at) WHERE job_completed_at IS NULL AND status NOT IN (''completed'', ''error'', ''failed'')'),
            ('comment', 'audio_transcriptions', 'job_id', 'The application''s own number of the job.'),
            ('comment', 'audio_transcriptions', 'assemblyai_id', 'The service''s number of the job.'),
            ('comment', 'audio_transcriptions', 'service', 'Who transcribes, such as assemblyai.'),
            ('comment', 'audio_transcriptions', 'status', 'How the job stands, in the words of the application and of the service.'),
            ('comment', 'audio_transcriptions', 'progress', 'Percent.'),
            ('comment', 'audio_transcriptions', 'error',
             'The application''s other name for error_message, kept equal by a trigger.'),
            ('comment', 'audio_transcriptions', 'job_metadata', 'What the service said of the job.'),
            ('trigger', 'audio_transcriptions', 'audio_transcriptions_sync_error_message',
             'BEFORE INSERT OR UPDATE OF error_message, error ON audio_transcriptions FOR EACH ROW EXECUTE FUNCTION audio_transcriptions_sync_error_message()')
        ) AS plain (kind, tab, name, definition)
        UNION ALL
        SELECT *
        FROM (VALUES
            ('constraint', 'audio_transcriptions', 'audio_transcriptions_user_id_fkey',
             'FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE', ARRAY['audio_transcriptions.user_id', 'users.id']),
            ('policy', 'audio_transcriptions', 'audio_transcriptions_owner',
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))',
             ARRAY['audio_transcriptions.user_id'])
        ) AS comparing (kind, tab, name, definition, compares)
    ) AS wanted;

    FOR part IN
        SELECT wanted.*, tab.oid AS place
        FROM ROWS FROM (jsonb_to_recordset(parts) AS (kind text, tab text, name text, definition text, compares text[]))
            WITH ORDINALITY AS wanted (kind, tab, name, definition, compares, turn)
        LEFT JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = home AND tab.relname = wanted.tab
        WHERE NOT CASE wanted.kind
            WHEN 'column' THEN EXISTS (
                -- It is there, with a default where it should have one: of its own type, not a number's.
                SELECT FROM pg_catalog.pg_attribute AS att
                WHERE att.attrelid = tab.oid AND att.attname = wanted.name AND NOT att.attisdropped
                  AND (att.atthasdef OR wanted.definition NOT LIKE '% DEFAULT %'
                       OR att.atttypid <> regexp_replace(wanted.definition, ' (NOT NULL|DEFAULT|GENERATED).*', '')::regtype))
            WHEN 'constraint' THEN EXISTS (
                -- It is there, and a check admits every word that it should.
                SELECT FROM pg_catalog.pg_constraint AS con
                WHERE con.conrelid = tab.oid
                  AND (con.conname = wanted.name OR (con.contype = 'p' AND wanted.definition LIKE 'PRIMARY KEY %'))
                  AND (wanted.definition NOT LIKE '%''%'
                       OR ARRAY(SELECT word[1] FROM regexp_matches(wanted.definition, '''([^'']*)''', 'g') AS word)
                          <@ ARRAY(SELECT word[1] FROM regexp_matches(pg_get_constraintdef(con.oid), '''([^'']*)''', 'g') AS word)))
            WHEN 'index' THEN EXISTS (
                SELECT FROM pg_catalog.pg_index AS idx
                JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
                WHERE idx.indrelid = tab.oid AND ind.relname = wanted.name)
            WHEN 'trigger' THEN EXISTS (
                SELECT FROM pg_catalog.pg_trigger AS trg WHERE trg.tgrelid = tab.oid AND trg.tgname = wanted.name)
            WHEN 'policy' THEN EXISTS (
                SELECT FROM pg_catalog.pg_policy AS pol WHERE pol.polrelid = tab.oid AND pol.polname = wanted.name)
            WHEN 'row level security' THEN coalesce(tab.relrowsecurity, false)
            WHEN 'comment' THEN EXISTS (
                SELECT FROM pg_catalog.pg_attribute AS att
                WHERE att.attrelid = tab.oid AND att.attname = wanted.name AND col_description(tab.oid, att.attnum) IS NOT NULL)
            ELSE tab.oid IS NOT NULL END  -- a table or a view
        ORDER BY wanted.turn
    LOOP
        CONTINUE WHEN cardinality(part.compares) <> (
            SELECT count(*)
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
            WHERE tab.relnamespace = home AND NOT col.attisdropped
              AND tab.relname || '.' || col.attname = ANY (part.compares) AND col.atttypid = 'text'::regtype);
        IF part.kind = 'column' AND EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS att
            WHERE att.attrelid = part.place AND att.attname = part.name AND NOT att.attisdropped)
        THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT ', part.tab, part.name) || split_part(part.definition, ' DEFAULT ', 2);
            CONTINUE;
        END IF;
        IF part.kind = 'constraint' AND EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conrelid = part.place AND con.conname = part.name)
        THEN
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', part.tab, part.name);
        END IF;
        EXECUTE CASE part.kind
            WHEN 'table' THEN format('CREATE TABLE %I ()', part.tab)
            WHEN 'view' THEN format('CREATE VIEW %I %s', part.tab, part.definition)
            WHEN 'column' THEN format('ALTER TABLE %I ADD COLUMN %I %s', part.tab, part.name, part.definition)
            WHEN 'constraint' THEN format('ALTER TABLE %I ADD CONSTRAINT %I %s', part.tab, part.name, part.definition)
            WHEN 'index' THEN format('CREATE INDEX %I ON %I %s', part.name, part.tab, part.definition)
            WHEN 'trigger' THEN format('CREATE TRIGGER %I %s', part.name, part.definition)
            WHEN 'policy' THEN format('CREATE POLICY %I ON %I %s', part.name, part.tab, part.definition)
            WHEN 'row level security' THEN format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part.tab)
            WHEN 'comment' THEN format('COMMENT ON COLUMN %I.%I IS %L', part.tab, part.name, part.definition)
            END;
    END LOOP;

    FOR part IN
        WITH listed AS (SELECT * FROM jsonb_to_recordset(parts) AS part (kind text, tab text, name text)),
        tables AS (
            SELECT tab.oid AS id, tab.relname AS name
            FROM pg_catalog.pg_class AS tab
            WHERE tab.relnamespace = home AND tab.relname IN (SELECT listed.tab FROM listed)
        ),
        present (kind, tab, name, said, bound) AS (
            SELECT 'constraint', con.conrelid, con.conname,
                   CASE con.contype WHEN 'f' THEN row(con.conkey, con.confrelid, con.confkey)::text ELSE pg_get_constraintdef(con.oid) END, false
            FROM pg_catalog.pg_constraint AS con
            WHERE con.conrelid IN (SELECT id FROM tables) AND con.contype IN ('c', 'f', 'p', 'u')
            UNION ALL
            SELECT 'index', idx.indrelid, ind.relname,
                   row(ind.relam, idx.indisunique, idx.indnullsnotdistinct, idx.indnkeyatts, idx.indkey, idx.indclass, idx.indcollation,
                       idx.indoption, ind.reloptions, pg_get_expr(idx.indexprs, idx.indrelid), pg_get_expr(idx.indpred, idx.indrelid))::text,
                   idx.indisreplident OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conindid = idx.indexrelid)
            FROM pg_catalog.pg_index AS idx
            JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
            WHERE idx.indrelid IN (SELECT id FROM tables)
            UNION ALL
            SELECT 'trigger', trg.tgrelid, trg.tgname, replace(pg_get_triggerdef(trg.oid), format(' TRIGGER %I ', trg.tgname), ' TRIGGER '), false
            FROM pg_catalog.pg_trigger AS trg
            WHERE trg.tgrelid IN (SELECT id FROM tables) AND NOT trg.tgisinternal
            UNION ALL
            SELECT 'policy', pol.polrelid, pol.polname,
                   row(pol.polcmd, pol.polpermissive, pol.polroles, pg_get_expr(pol.polqual, pol.polrelid),
                       pg_get_expr(pol.polwithcheck, pol.polrelid))::text, false
            FROM pg_catalog.pg_policy AS pol
            WHERE pol.polrelid IN (SELECT id FROM tables)
        )
        SELECT other.kind, tables.name AS tab, other.name
        FROM listed
        JOIN tables ON tables.name = listed.tab
        JOIN present AS one ON (one.kind, one.tab, one.name) = (listed.kind, tables.id, listed.name::name)
        JOIN present AS other ON (other.kind, other.tab, other.said) = (one.kind, one.tab, one.said) AND other.name <> one.name AND NOT other.bound
    LOOP
        EXECUTE CASE part.kind
            WHEN 'constraint' THEN format('ALTER TABLE %I DROP CONSTRAINT %I', part.tab, part.name)
            WHEN 'index' THEN format('DROP INDEX %I', part.name)
            ELSE format('DROP %s %I ON %I', part.kind, part.name, part.tab) END;
    END LOOP;
END
$complete$;

-- Two names of one thing agree, the documented one first; and a row without a status
-- gets the one that shows in it.
UPDATE audio_transcriptions
SET error_message = coalesce(error_message, error), error = coalesce(error_message, error)
WHERE error_message IS DISTINCT FROM error;
UPDATE audio_transcriptions
SET status = CASE WHEN error_message IS NOT NULL THEN 'error' WHEN text IS NOT NULL THEN 'completed' ELSE 'pending' END,
    progress = CASE WHEN error_message IS NULL AND text IS NOT NULL THEN 100 ELSE coalesce(progress, 0) END
WHERE status IS NULL;
