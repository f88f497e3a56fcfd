"""Backups: pg_dump writes a database to a file, and pg_restore brings it back.

PostgreSQL's own programs do the work, since no other program writes all that a database can hold.

===============  ========================================================================
``installed``    finds the programs that fit the server
``access``       finds out how the programs reach the database, past any pooler
``client``       runs a program, and makes an error of its complaints
``writing``      writes a backup
``restoring``    brings a backup back into an empty database
===============  ========================================================================
"""

from kimbledb.execution.backup.restoring import restore
from kimbledb.execution.backup.writing import write

__all__ = ["restore", "write"]
