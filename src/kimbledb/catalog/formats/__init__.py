"""One reader for each format in which migrations are kept."""
