"""The drivers: one module each, which alone imports its library and follows ``kimbledb.server.driver``."""
