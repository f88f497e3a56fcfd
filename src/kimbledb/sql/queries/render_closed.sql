-- What each migration of a closed catalog runs before and after its script.
BEGIN
    PERFORM set_config('kimbledb.keep_older', {older}, true), set_config('kimbledb.take_back', {take_back}, true);
END
