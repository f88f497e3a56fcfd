"""For test suites: fresh migrated databases in a moment, and the proof that people are kept apart.

The pytest plugin of this package stands on it; nothing here needs pytest.
"""

from kimbledb.testing.databases import Databases
from kimbledb.testing.isolation import Breach, IsolationReport, check_isolation

__all__ = ["Breach", "Databases", "IsolationReport", "check_isolation"]
