SELECT 'statistics ' || spaces[array_position(homes, s.stxnamespace)] || {quoted:s.stxname},
       CASE WHEN s.stxowner <> own_role THEN 'owner' END, s.stxowner::text,
       {printed:s.stxname}
FROM pg_statistic_ext AS s
WHERE s.stxname = ANY ({own}::name[]) AND s.stxnamespace = ANY (homes)
