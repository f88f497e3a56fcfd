-- The query for the objects that a migration made on tables that existed before it, for the log: by it a rollback tells
-- them from objects made by hand.
BEGIN
    PERFORM set_config('kimbledb.made_on', {made_on}, true);
END
