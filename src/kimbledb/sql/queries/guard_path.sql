-- Before names are looked up in schemas: stop unless trusted roles own everything in them. In most databases untrusted
-- roles own nothing and may create nothing, which is checked first.
DECLARE
    trusted constant oid[] := (
{trusted}
    );
    dangers jsonb;
BEGIN
    IF EXISTS (SELECT FROM pg_roles AS r
               JOIN pg_shdepend AS d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'
                   AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
               WHERE r.oid <> ALL (trusted))
       OR EXISTS (SELECT FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS acl
                  WHERE n.nspname = ANY ({schemas}) AND acl.privilege_type = 'CREATE' AND acl.grantee <> ALL (trusted))
       OR EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                  WHERE n.nspname = ANY ({schemas}) AND c.relname IN ('migration_history', 'migration_log') AND c.relkind = 'r' AND c.relhasrules)
    THEN
        -- A text, so that the server parses it only here.
        EXECUTE {dangers} INTO dangers;
        IF dangers <> '[]' THEN
            RAISE EXCEPTION USING MESSAGE = 'the schema is not safe to work in', DETAIL = dangers::text, ERRCODE = 'KD007';
        END IF;
    END IF;
END
