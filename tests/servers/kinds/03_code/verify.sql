-- name: doubled
SELECT twice() = 4 AND thrice(2) = 6 AS passed;

-- name: debts runs
SELECT * FROM debts(0);
