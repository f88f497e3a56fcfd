"""The operations, one file each: its function, its class and its command."""
