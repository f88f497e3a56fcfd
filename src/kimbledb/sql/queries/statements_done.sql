-- Which statements of a step outside of a transaction an earlier try has done.
SELECT coalesce(jsonb_agg(s.detail->>'statement'), '[]')
FROM (
{statements}
) AS s
WHERE s.checksum = {checksum} AND s.detail->>'during' = {part} AND s.detail->>'state' = 'done'
