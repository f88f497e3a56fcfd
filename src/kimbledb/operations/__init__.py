"""What changes a database or reports on it."""
