-- Texts that the server prints, computed once for a row.
(SELECT pg_get_ruledef(r.oid, true) OFFSET 0) AS printed (source)
