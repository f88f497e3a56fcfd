"""From files to a catalog, all faults at once."""
