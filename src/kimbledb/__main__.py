"""``python -m kimbledb``."""

import sys

from kimbledb.cli.main import main

sys.exit(main())
