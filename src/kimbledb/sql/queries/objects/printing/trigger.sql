-- Texts that the server prints, computed once for a row.
(
    SELECT CASE WHEN t.tgqual IS NOT NULL
                THEN regexp_match(text, '^(.*? FOR EACH (?:ROW|STATEMENT)) WHEN \((.*)\) (EXECUTE FUNCTION .*)$') END, text
    FROM (SELECT substr(pg_get_triggerdef(t.oid, true),
                        length(CASE WHEN t.tgconstraint <> 0 THEN 'CREATE CONSTRAINT TRIGGER ' ELSE 'CREATE TRIGGER ' END
                               || quote_ident(t.tgname)) + 2) OFFSET 0) AS whole (text)
) AS printed (parts, text)
