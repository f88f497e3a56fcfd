-- Rules. That of a view is the view.
SELECT 'rule', relation.name || '.' || {quoted:r.rulename},
       json_strip_nulls(json_build_object(
           'enabled', CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END)),
       {form:rule},
       r.tableoid, r.oid, 0, relation.relowner, rtrim(printed.source, ';')
FROM relation
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = relation.oid AND r.rulename <> '_RETURN'
CROSS JOIN LATERAL {printing:rule}
