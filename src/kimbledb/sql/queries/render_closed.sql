-- The statements of each migration of a closed catalog before and after its script.
BEGIN
    PERFORM set_config('kimbledb.keep_older', {older}, true), set_config('kimbledb.take_back', {take_back}, true);
END
