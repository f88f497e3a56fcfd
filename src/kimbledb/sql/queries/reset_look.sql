-- The objects of a schema, with a fingerprint that shows later whether they are the same.
SELECT what || jsonb_build_object('fingerprint', md5(what::text))
FROM (
{objects}
) AS looked (what)
