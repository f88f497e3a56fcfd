-- The statements of a step outside of a transaction that an earlier try has finished.
SELECT coalesce(jsonb_agg(s.detail->>'statement'), '[]')
FROM (
{statements}
) AS s
WHERE s.checksum = {checksum} AND s.detail->>'during' = {part} AND s.detail->>'state' = 'done'
