-- As guard_path.sql, before the trusted roles are known: do other roles own objects here, or may they create some?
-- Every role but a superuser, this role and the owner of the database counts as untrusted.
DECLARE
    strangers constant oid[] := ARRAY(
        SELECT r.oid FROM pg_roles AS r
        WHERE r.rolname IN ('anon', 'authenticated') OR NOT (
            r.rolsuper OR r.rolname IN (current_user, 'pg_database_owner') OR r.oid = (SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database())));
BEGIN
    IF EXISTS (SELECT FROM pg_shdepend AS d
               WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY (strangers) AND d.deptype = 'o'
                 AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
       OR EXISTS (SELECT FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS acl
                  WHERE n.nspname = ANY ({schemas}) AND acl.privilege_type = 'CREATE' AND (acl.grantee = 0 OR acl.grantee = ANY (strangers)))
       OR EXISTS (SELECT FROM pg_class WHERE oid = ANY (ARRAY[{tables}]::oid[]) AND relkind = 'r' AND relhasrules)
    THEN
{closer};
    END IF;
END
