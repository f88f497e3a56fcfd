"""Bring a PostgreSQL database to the KimbleAI v4 schema, or to your own.

``await kimbledb.migrate(dsn)`` applies what is missing, proves it, records it,
and does nothing where nothing is missing.
"""

from kimbledb._rollback import Rollback
from kimbledb.api import migrate, plan, rollback, status, verify
from kimbledb.catalog import Catalog
from kimbledb.errors import KimbleDBError
from kimbledb.executor import Executor
from kimbledb.planner import Planner
from kimbledb.verifier import Verifier
