-- Functions, procedures, aggregates and window functions.
SELECT 'function', routine.name,
       json_strip_nulls(json_build_object(
           'kind', CASE routine.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window function' END,
           'arguments', nullif(pg_get_function_identity_arguments(routine.oid), ''),
           'returns', CASE WHEN routine.prokind IN ('f', 'w') THEN pg_get_function_result(routine.oid) END,
           'language', CASE WHEN routine.prokind <> 'a' THEN {quoted:l.lanname} END,
           'volatility', CASE WHEN routine.prokind <> 'a' THEN
               CASE routine.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END END,
           'parallel', CASE routine.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END,
           'strict', CASE WHEN routine.prokind <> 'a' AND routine.proisstrict THEN true END,
           'security_definer', nullif(routine.prosecdef, false),
           'leakproof', nullif(routine.proleakproof, false),
           'cost', CASE WHEN routine.prokind <> 'a' AND routine.procost <> CASE WHEN l.lanname IN ('c', 'internal') THEN 1 ELSE 100 END
                        THEN CASE WHEN routine.procost = trunc(routine.procost) THEN to_json(routine.procost::bigint)
                                  ELSE to_json(routine.procost::text) END END,
           'rows', CASE WHEN routine.proretset AND routine.prorows <> 1000
                        THEN CASE WHEN routine.prorows = trunc(routine.prorows) THEN to_json(routine.prorows::bigint)
                                  ELSE to_json(routine.prorows::text) END END,
           'support', {routine:routine.prosupport},
           'transforms', (SELECT json_agg(format_type(each, NULL) ORDER BY place) FROM unnest(routine.protrftypes) WITH ORDINALITY AS each (each, place)),
           'settings', CASE WHEN routine.proconfig IS NOT NULL THEN (
               SELECT json_agg(CASE WHEN {own_path:each} THEN 'search_path' ELSE each END ORDER BY each)
               FROM unnest(routine.proconfig) AS each) END,
           'library', routine.probin,
           'body', CASE WHEN routine.prokind <> 'a' AND NOT routine.atomic THEN md5(routine.prosrc) END,
           'definition', CASE routine.prokind WHEN 'a' THEN (
               SELECT concat_ws(', ',
                   'sfunc = ' || {routine:g.aggtransfn},
                   'stype = ' || format_type(g.aggtranstype, NULL),
                   'sspace = ' || nullif(g.aggtransspace, 0),
                   'finalfunc = ' || {routine:g.aggfinalfn},
                   CASE WHEN g.aggfinalextra THEN 'finalfunc_extra' END,
                   CASE WHEN g.aggfinalfn <> 0 AND g.aggfinalmodify <> CASE g.aggkind WHEN 'n' THEN 'r' ELSE 'w' END THEN
                       'finalfunc_modify = ' || CASE g.aggfinalmodify WHEN 'r' THEN 'read_only' WHEN 's' THEN 'shareable' ELSE 'read_write' END END,
                   'combinefunc = ' || {routine:g.aggcombinefn},
                   'serialfunc = ' || {routine:g.aggserialfn},
                   'deserialfunc = ' || {routine:g.aggdeserialfn},
                   'initcond = ' || quote_literal(g.agginitval),
                   'msfunc = ' || {routine:g.aggmtransfn},
                   'minvfunc = ' || {routine:g.aggminvtransfn},
                   'mstype = ' || format_type(nullif(g.aggmtranstype, 0), NULL),
                   'msspace = ' || nullif(g.aggmtransspace, 0),
                   'mfinalfunc = ' || {routine:g.aggmfinalfn},
                   CASE WHEN g.aggmfinalextra THEN 'mfinalfunc_extra' END,
                   CASE WHEN g.aggmfinalfn <> 0 AND g.aggmfinalmodify <> CASE g.aggkind WHEN 'n' THEN 'r' ELSE 'w' END THEN
                       'mfinalfunc_modify = ' || CASE g.aggmfinalmodify WHEN 'r' THEN 'read_only' WHEN 's' THEN 'shareable' ELSE 'read_write' END END,
                   'minitcond = ' || quote_literal(g.aggminitval),
                   'sortop = operator(' || regexp_replace(nullif(g.aggsortop, 0)::regoperator::text, '\([^()]*\)$', '') || ')',
                   CASE g.aggkind WHEN 'h' THEN 'hypothetical' END)
               FROM pg_catalog.pg_aggregate AS g WHERE g.aggfnoid = routine.oid) END)),
       {form:function},
       routine.class, routine.oid, 0, routine.proowner,
       coalesce(
       -- when: source
       CASE WHEN routine.prokind <> 'a' THEN
           CASE routine.prokind WHEN 'p' THEN 'CREATE OR REPLACE PROCEDURE ' ELSE 'CREATE OR REPLACE FUNCTION ' END
           -- The server prints the name of the function's schema, and the path that FROM CURRENT gave it.
           || substr(CASE WHEN EXISTS (SELECT FROM unnest(routine.proconfig) AS each WHERE {own_path:each})
                          THEN regexp_replace(pg_get_functiondef(routine.oid), '\n SET search_path TO [^\n]*\n', E'\n SET search_path FROM CURRENT\n')
                          ELSE pg_get_functiondef(routine.oid) END,
                     length(CASE routine.prokind WHEN 'p' THEN 'CREATE OR REPLACE PROCEDURE ' ELSE 'CREATE OR REPLACE FUNCTION ' END
                            || routine.pronamespace::regnamespace::text) + 2) END,
       -- end
       NULL)
FROM routine
JOIN pg_catalog.pg_language AS l ON l.oid = routine.prolang
