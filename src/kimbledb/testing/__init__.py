"""For test suites: fresh migrated databases in a moment, and the proof that people are kept apart.

The pytest plugin of this package stands on it; nothing here needs pytest.
"""

from kimbledb.testing.databases import Databases
from kimbledb.testing.isolation import check_isolation
from kimbledb.testing.isolation_report import Breach, IsolationReport

__all__ = ["Breach", "Databases", "IsolationReport", "check_isolation"]
