-- Texts that the server prints, computed once for a row. The names of the index and of its table are cut off.
(
    SELECT substr(whole, strpos(whole, ' USING ')) FROM (SELECT pg_get_indexdef(i.indexrelid, 0, true) OFFSET 0) AS printed (whole)
) AS printed (definition)
