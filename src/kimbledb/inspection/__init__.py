"""Questions about the state of a database. Nothing here writes."""
