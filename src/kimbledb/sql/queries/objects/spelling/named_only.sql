{x} = ANY (home.wanted)
