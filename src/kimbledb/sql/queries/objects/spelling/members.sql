-- The operators and functions that belong to an operator class or family.
SELECT (SELECT json_agg(format('%s %s', member.amopstrategy, {signature:member.amopopr})
                         || coalesce((SELECT ' for order by ' || CASE WHEN pg_opfamily_is_visible(f.oid) THEN '' ELSE f.opfnamespace::regnamespace::text || '.' END || quote_ident(f.opfname)
                                      FROM pg_catalog.pg_opfamily AS f
                                      WHERE f.oid = member.amopsortfamily), '')
                         ORDER BY member.amopstrategy, member.amoplefttype::regtype::text, member.amoprighttype::regtype::text)
        FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_amop AS member ON member.oid = d.objid
        WHERE d.classid = 'pg_catalog.pg_amop'::regclass AND d.refclassid = {x}),
       (SELECT json_agg(format('%s (%s, %s) %s(%s)', member.amprocnum, format_type(member.amproclefttype, NULL),
                                format_type(member.amprocrighttype, NULL), {routine:member.amproc},
                                pg_get_function_identity_arguments(member.amproc))
                         ORDER BY member.amprocnum, member.amproclefttype::regtype::text, member.amprocrighttype::regtype::text)
        FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_amproc AS member ON member.oid = d.objid
        WHERE d.classid = 'pg_catalog.pg_amproc'::regclass AND d.refclassid = {x})
