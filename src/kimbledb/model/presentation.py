"""What each result gives once, its tables and its values, and what is made of them: text, HTML, JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from attrs import asdict, has

from kimbledb.model.tables import Table, as_text
from kimbledb.model.text import printable

if TYPE_CHECKING:
    from attrs import AttrsInstance

#: A value that ``json.dumps()`` takes.
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class Report(ABC):
    """What a call returns. ``print()`` shows it as text, a notebook as HTML."""

    __slots__ = ()

    @property
    @abstractmethod
    def summary(self) -> str:
        """What happened or was found, in one line."""

    @abstractmethod
    def as_tables(self) -> tuple[Table, ...]:
        """Return what is shown. The caption of the first table is :attr:`summary`."""

    @abstractmethod
    def as_dict(self) -> dict[str, Json]:
        """Return the report as values that ``json.dumps()`` takes, without secrets and rows of tables."""

    def __str__(self) -> str:
        return as_text(self.as_tables())

    def _repr_html_(self) -> str:
        from kimbledb.model.pictures import to_html

        return to_html(self.as_tables())


def plain(value: object) -> Json:
    """Return a value as one that ``json.dumps()`` takes: an attrs instance as a dict, an enum as its text."""
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
    """Return an error as its class, its message and its hint, which those of the library have as attributes."""
    message = getattr(error, "message", None) or str(error)
    return {"error": type(error).__name__, "message": printable(str(message)), "hint": getattr(error, "hint", None)}
