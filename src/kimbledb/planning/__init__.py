"""Pure: from a catalog, evidence and the caller's goal to a plan, hazards and drift. Nothing here asks a database."""
