-- name: people_are_there
SELECT to_regclass('people') IS NOT NULL AS passed;
