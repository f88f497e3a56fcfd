-- The question what a migration made on tables that were there before it, for the log: a rollback tells it from what
-- was made by hand.
BEGIN
    PERFORM set_config('kimbledb.made_on', {made_on}, true);
END
