-- name: two_names_agree
SELECT count(*) = 0 AS passed, '0 rows that disagree' AS expected, count(*) || ' rows that disagree' AS found
FROM audio_transcriptions
WHERE error_message IS DISTINCT FROM error;
