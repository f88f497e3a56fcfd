-- Texts that the server prints, computed once for a row.
(
    SELECT CASE WHEN held.contype <> 'c' THEN regexp_replace(pg_get_constraintdef(held.oid, true), ' NOT (VALID|ENFORCED)$', '') END
    OFFSET 0
) AS printed (definition)
