-- What a schema holds, with a fingerprint by which to tell later whether it still does.
SELECT what || jsonb_build_object('fingerprint', md5(what::text))
FROM (
{objects}
) AS looked (what)
