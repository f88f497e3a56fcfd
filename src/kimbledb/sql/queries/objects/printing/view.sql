-- Texts that the server prints, computed once for a row.
(SELECT pg_get_viewdef(relation.oid, true) OFFSET 0) AS printed (query)
