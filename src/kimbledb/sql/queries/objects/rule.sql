-- Rules. That of a view is the view.
SELECT 'rule', relation.name || '.' || {quoted:r.rulename},
       jsonb_strip_nulls(jsonb_build_object(
           'enabled', CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END)),
       {form:rule},
       r.tableoid, r.oid, 0, relation.relowner, CASE WHEN {sources} THEN rtrim(printed.source, ';') END
FROM relation
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = relation.oid AND r.rulename <> '_RETURN'
CROSS JOIN LATERAL {printing:rule}
