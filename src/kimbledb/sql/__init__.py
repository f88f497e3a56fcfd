"""The SQL that ships: the queries that the library sends, the built-in migrations, the embedded server's extension."""
