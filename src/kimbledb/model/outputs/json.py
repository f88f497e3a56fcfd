"""JSON: the output of the command line with ``--json``."""

from __future__ import annotations

from json import dumps

from kimbledb.model.presentation import Json


def write(values: dict[str, Json]) -> str:
    """Write values as one JSON object of several lines.

    Args:
        values: The values of a report's ``as_dict()``, or those of an error by ``error_as_dict()``.
    """
    return dumps(values, indent=2)
