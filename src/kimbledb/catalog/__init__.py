"""From files to a catalog: formats, facts, SQL statements and other tools' files. All faults are reported at once."""
