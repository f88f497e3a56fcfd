"""``python -m kimbledb``."""

import sys

from kimbledb.cli import main

sys.exit(main())
