"""The base of all reports, and the plain values that ``as_dict()`` gives.

A report gives its content once, as tables and as values. The outputs are made of these in ``kimbledb.model.outputs``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias, cast

from attrs import asdict, has

from kimbledb.model.text import printable

if TYPE_CHECKING:
    from attrs import AttrsInstance

    from kimbledb.model.tables import Table

#: A value that ``json.dumps()`` accepts.
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def _written_as(output: str) -> Callable[[Report], str]:
    """Return a method that writes a report's tables by ``write()`` of a module of ``kimbledb.model.outputs``."""

    def write(report: Report) -> str:
        # Imported by the first report that is shown, since a start shows none: HTML takes 11 ms, text 1 ms.
        text: str = import_module(f"kimbledb.model.outputs.{output}").write(report.as_tables())
        return text

    return write


class Report(ABC):
    """The result of a call. ``print()`` shows it as text, a notebook as HTML."""

    __slots__ = ()

    @property
    @abstractmethod
    def summary(self) -> str:
        """The result in one line."""

    @abstractmethod
    def as_tables(self) -> tuple[Table, ...]:
        """Return the content as tables. The caption of the first table is ``summary``."""

    @abstractmethod
    def as_dict(self) -> dict[str, Json]:
        """Return the content as values that ``json.dumps()`` accepts, without secrets and rows of tables."""

    # The outputs, a line each.
    __str__ = _written_as("text")
    _repr_html_ = _written_as("html")


def plain(value: object) -> Json:
    """Return a value in a form that ``json.dumps()`` accepts: an attrs instance as a dict, an enum as its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if has(type(value)):
        value = asdict(cast("AttrsInstance", value), recurse=False)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, Iterable):
        return [plain(each) for each in value]
    return str(value)


def error_as_dict(error: Exception) -> dict[str, Json]:
    """Return an error as values: its class, its message, and the hint and the address that this package's errors have."""
    message = getattr(error, "message", None) or str(error)
    return {
        "error": type(error).__name__,
        "message": printable(str(message)),
        "hint": getattr(error, "hint", None),
        "url": getattr(error, "url", None),
    }
