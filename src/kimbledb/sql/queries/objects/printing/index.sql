-- Texts that the server prints, computed once for a row.
(
    SELECT jsonb_agg(part.text ORDER BY part.place) FILTER (WHERE part.place <= i.indnkeyatts),
           jsonb_agg(part.text ORDER BY part.place) FILTER (WHERE part.place > i.indnkeyatts),
           jsonb_agg(part.place || ' ' || part.statistics ORDER BY part.place) FILTER (WHERE part.statistics <> -1)
    FROM (
        SELECT each.place, own.attstattarget AS statistics, concat(
            CASE WHEN each.attnum <> 0 THEN quote_ident(a.attname)
                 WHEN expression.text LIKE '(%' THEN expression.text ELSE '(' || expression.text || ')' END,
            -- Of an expression the server does not say its own collation, so that any but the default is shown.
            CASE WHEN i.indcollation[each.place - 1] <> coalesce(a.attcollation, 100) THEN ' COLLATE ' || {collation:i.indcollation[each.place - 1]} END,
            CASE WHEN own.attoptions IS NOT NULL OR NOT class.opcdefault OR class.opcintype <> coalesce(a.atttypid, own.atttypid) THEN (
                -- The class that the server would choose is that of the very type, else that of the preferred type
                -- of its category, else one for any array, enum or range.
                SELECT ' ' || CASE WHEN pg_opclass_is_visible(class.oid) THEN '' ELSE quote_ident(s.nspname) || '.' END || quote_ident(class.opcname)
                       || coalesce((SELECT ' (' || string_agg(format('%s=%L', split_part(each, '=', 1), substr(each, strpos(each, '=') + 1)), ', ') || ')'
                                    FROM unnest(own.attoptions) AS each), '')
                FROM pg_catalog.pg_namespace AS s, pg_catalog.pg_type AS input, pg_catalog.pg_type AS t
                WHERE s.oid = class.opcnamespace AND input.oid = class.opcintype AND t.oid = coalesce(a.atttypid, own.atttypid)
                  AND (own.attoptions IS NOT NULL OR NOT class.opcdefault
                       OR NOT (class.opcintype = t.typbasetype OR input.typispreferred OR input.typtype = 'p')
                       OR (class.opcintype <> t.typbasetype AND EXISTS (
                              SELECT FROM pg_catalog.pg_opclass AS exact
                              WHERE exact.opcmethod = class.opcmethod AND exact.opcdefault
                                AND exact.opcintype IN (t.oid, t.typbasetype))))) END,
            CASE i.indoption[each.place - 1] WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' WHEN 3 THEN ' DESC' END)
        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS each (attnum, place)
        JOIN pg_catalog.pg_attribute AS own ON own.attrelid = i.indexrelid AND own.attnum = each.place
        LEFT JOIN pg_catalog.pg_attribute AS a ON each.attnum <> 0 AND a.attrelid = i.indrelid AND a.attnum = each.attnum
        LEFT JOIN pg_catalog.pg_opclass AS class ON class.oid = i.indclass[each.place - 1]
        LEFT JOIN LATERAL (
            SELECT CASE WHEN each.attnum = 0 THEN pg_get_indexdef(i.indexrelid, each.place::integer, true) END OFFSET 0
        ) AS expression (text) ON true
    ) AS part (place, statistics, text)
) AS parts (keys, others, statistics)
