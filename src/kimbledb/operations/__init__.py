"""What changes a database or reports on it, one file an operation: its function, its class, its command."""
