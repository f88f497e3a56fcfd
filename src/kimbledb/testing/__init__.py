"""For test suites: fresh migrated databases in milliseconds, and a proof that policies isolate people from each other.

The pytest plugin (``_kimbledb_pytest``) is built on this package, which does not need pytest.
"""

from kimbledb.testing.catalogs import prove_catalog
from kimbledb.testing.databases import Databases
from kimbledb.testing.isolation import check_isolation
from kimbledb.testing.isolation_report import Breach, IsolationReport

__all__ = ["Breach", "Databases", "IsolationReport", "check_isolation", "prove_catalog"]
