"""Call a tool in a process of its own, and print how long each call took: TOOL VERB FOLDER DSN COUNT.

The tool is imported before the clock starts. The verb is a function of the tool's module.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Call what is asked for."""
    tool, verb, folder, dsn, count = sys.argv[1:]
    os.environ["DATABASE_URL"] = dsn
    module = importlib.import_module(f"{__package__}.{tool}")
    print(json.dumps(getattr(module, verb)(Path(folder), dsn, int(count))))


if __name__ == "__main__":
    main()
