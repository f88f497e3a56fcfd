-- Triggers. Those that a partition has of its parent are left out, unless they are enabled otherwise there.
SELECT 'trigger', relation.name || '.' || {quoted:t.tgname},
       json_strip_nulls(json_build_object(
           'event', CASE WHEN t.tgqual IS NULL THEN printed.text ELSE printed.parts[1] || ' ' || printed.parts[3] END,
           'constraint', CASE WHEN t.tgconstraint <> 0 THEN true END,
           'inherited', CASE WHEN t.tgparentid <> 0 THEN true END,
           'enabled', CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always'
                      ELSE CASE WHEN t.tgparentid <> 0 THEN 'origin' END END)),
       {form:trigger},
       t.tableoid, t.oid, 0, relation.relowner, NULL
FROM relation
JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = relation.oid
CROSS JOIN LATERAL {printing:trigger}
WHERE NOT t.tgisinternal
  -- there: inheritance
  AND (t.tgparentid = 0 OR t.tgenabled <> (SELECT parent.tgenabled FROM pg_catalog.pg_trigger AS parent WHERE parent.oid = t.tgparentid))
  -- end
