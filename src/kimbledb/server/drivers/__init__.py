"""The drivers: one module each, which alone imports its library and follows :mod:`kimbledb.server.driver`."""
