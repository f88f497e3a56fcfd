-- What stands by itself in the target schema. Kept for the transaction, to be compared after the scripts (vanished.sql).
BEGIN
    PERFORM set_config('kimbledb.objects', (
{objects}
    )::text, true);
END
