-- The scratch schema, and a second one that hides the objects in extensions' schemas that belong to no extension:
-- scripts name no schema, and a name that the scratch schema lacks would be looked up there, where the live tables may
-- be. A hiding object can be neither read nor altered, so that a statement which needs it fails and is left out.
DECLARE
    hidden record;
BEGIN
    CREATE SCHEMA {schema};
    CREATE SCHEMA {shadow};
    FOR hidden IN
        SELECT each.name, bool_or(each.is_relation) AS is_relation
        FROM (
            SELECT c.relname, true
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = ANY ({homes})
              AND (c.relkind NOT IN ('i', 'I') OR c.relname = ANY ({words}) OR c.relname !~ '^[a-z_][a-z0-9_$]*$')
              AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
            UNION ALL
            SELECT t.typname, false
            FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
            WHERE n.nspname = ANY ({homes}) AND t.typtype IN ('e', 'd', 'r')
              AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
        ) AS each (name, is_relation)
        GROUP BY each.name
    LOOP
        EXECUTE format('CREATE TYPE {shadow}.%I', hidden.name) || CASE WHEN hidden.is_relation THEN ' AS ()' ELSE '' END;
    END LOOP;
END
