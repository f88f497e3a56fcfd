"""What is asked of a database. Nothing here writes."""
