-- Configurations of text search.
SELECT 'text search configuration', home.prefix || {quoted:each.cfgname},
       json_strip_nulls(json_build_object(
           'parser', (SELECT CASE WHEN pg_ts_parser_is_visible(p.oid) THEN '' ELSE p.prsnamespace::regnamespace::text || '.' END || quote_ident(p.prsname)
                      FROM pg_catalog.pg_ts_parser AS p
                      WHERE p.oid = each.cfgparser),
           'mappings', (
               SELECT json_agg(mapping.token || ' with ' || mapping.dictionaries ORDER BY mapping.token)
               FROM (SELECT quote_ident(token.alias),
                            string_agg(CASE WHEN pg_ts_dict_is_visible(dict.oid) THEN '' ELSE dict.dictnamespace::regnamespace::text || '.' END || quote_ident(dict.dictname),
                                       ', ' ORDER BY m.mapseqno)
                     FROM pg_catalog.pg_ts_config_map AS m
                     JOIN ts_token_type(each.cfgparser) AS token ON token.tokid = m.maptokentype
                     JOIN pg_catalog.pg_ts_dict AS dict ON dict.oid = m.mapdict
                    
                     WHERE m.mapcfg = each.oid
                     GROUP BY token.alias) AS mapping (token, dictionaries)))),
       NULL::jsonb, each.tableoid, each.oid, 0, each.cfgowner, NULL
FROM pg_catalog.pg_ts_config AS each
JOIN home ON home.oid = each.cfgnamespace
WHERE {named:each.cfgname}
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_ts_config'::regclass AND d.objid = each.oid AND d.deptype = 'e')
