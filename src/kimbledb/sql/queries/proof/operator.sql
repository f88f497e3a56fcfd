SELECT 'operator ' || spaces[array_position(homes, o.oprnamespace)] || o.oprname
       || '(' || CASE o.oprleft WHEN 0 THEN '-' ELSE format_type(o.oprleft, NULL) END
       || ',' || CASE o.oprright WHEN 0 THEN '-' ELSE format_type(o.oprright, NULL) END || ')',
       CASE WHEN o.oprowner <> own_role THEN 'owner' END, o.oprowner::text, NULL::jsonb
FROM pg_operator AS o
WHERE o.oprname = ANY ({own}::name[]) AND o.oprnamespace = ANY (homes)
