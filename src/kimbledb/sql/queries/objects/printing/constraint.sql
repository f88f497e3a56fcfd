-- Texts that the server prints, computed once for a row.
(
    SELECT CASE WHEN held.contype = 'c' THEN NULL
                WHEN held.convalidated AND held.contype <> 'f' THEN pg_get_constraintdef(held.oid, true)
                ELSE regexp_replace(pg_get_constraintdef(held.oid, true), ' NOT (VALID|ENFORCED)$', '') END
    OFFSET 0
) AS printed (definition)
