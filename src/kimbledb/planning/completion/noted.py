"""The notes of one completion: objects that it leaves as they are, and objects that it cannot reach."""

from __future__ import annotations

from attrs import field, frozen

from kimbledb.model.objects import Key


@frozen(eq=False)
class Noted:
    """Notes of one completion, which grow."""

    #: The objects that stay as they are, each with the reason.
    left: dict[Key, str] = field(factory=dict)
    #: The columns that keep the default from before.
    defaults: list[str] = field(factory=list)
    #: The conflicts, once each.
    conflicts: dict[str, None] = field(factory=dict)
    #: The tables that hold what is in conflict.
    tables: set[str] = field(factory=set)

    def refuse(self, why: str, table: str | None = None) -> None:
        """Note a conflict.

        Args:
            why: The conflict, in words.
            table: The table that holds it, where one does.
        """
        self.conflicts[why] = None
        if table is not None:
            self.tables.add(table)
