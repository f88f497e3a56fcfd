-- A privilege, as GRANT spells it.
lower({x}.privilege_type) || CASE WHEN {x}.is_grantable THEN ' with grant option' ELSE '' END
