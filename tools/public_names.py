"""The stub of the package for type checkers, made from its table of public names. ``nox -s order`` writes it."""

from __future__ import annotations

import kimbledb

_HEAD = """\
# Written by `nox -s order` from the table PUBLIC in __init__.py: do not edit it.

"""
_TAIL = """
PUBLIC: dict[str, tuple[str, ...]]
__all__: list[str]
"""


def stub() -> str:
    """Return the text of the stub."""
    lines = [
        f"from {module} import {name} as {name}\n"
        for module, names in sorted(kimbledb.PUBLIC.items())
        for name in sorted(names, key=lambda name: (name.islower(), name.casefold()))
    ]
    return f"{_HEAD}{''.join(lines)}{_TAIL}"
