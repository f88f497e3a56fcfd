(home.wanted IS NULL OR {x} = ANY (home.wanted))
