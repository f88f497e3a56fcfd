-- After a rollback: the privileges that a role had on an older object by default privileges, and that the rollback
-- revoked with its migration's grant.
DECLARE
    -- NULL if it was dropped.
    target constant oid := {target};
    given text;
BEGIN
    SELECT string_agg(DISTINCT acl.privilege_type, ', ') INTO given
    FROM pg_catalog.pg_default_acl AS d
    CROSS JOIN LATERAL aclexplode(d.defaclacl) AS acl
    JOIN (SELECT oid, relowner, relnamespace FROM pg_catalog.pg_class UNION ALL SELECT oid, proowner, pronamespace FROM pg_catalog.pg_proc)
        AS object (oid, owner, namespace) ON object.oid = target
    WHERE d.defaclobjtype = {class} AND d.defaclrole = object.owner AND d.defaclnamespace IN (0, object.namespace)
      AND acl.grantee = coalesce((SELECT oid FROM pg_catalog.pg_roles WHERE quote_ident(rolname) = {role}), 0)
      AND lower(acl.privilege_type) = ANY ({may});
    IF given IS NOT NULL THEN
        EXECUTE format({statement}, given);
    END IF;
END
