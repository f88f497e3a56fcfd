"""The tables of a rollback whose rows must be counted, for each of its transactions those that its script names.

To count them all in each transaction would lock them all, for as many times as there are migrations. A script may lose the
rows of others, too, as by CASCADE: that shows in its transaction, which is then repeated with a count of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from kimbledb.inspection.data_loss import Suspect
from kimbledb.server import queries
from kimbledb.server.session import Session

_WORD = re.compile(r"\w+")


@frozen(eq=False)
class Suspects:
    """Tables whose rows must be counted, by the words of their names."""

    #: Each with the other words of its name, by the first one.
    _by_word: Mapping[str, Sequence[tuple[frozenset[str], Suspect]]] = field(factory=dict)

    @classmethod
    async def ask(cls, session: Session, suspects: Sequence[Suspect]) -> Suspects:
        """Ask for the names of tables, and return the tables by them.

        Args:
            session: The session.
            suspects: The tables.
        """
        if not suspects:
            return cls()
        oids = ", ".join(str(int(each["oid"])) for each in suspects)
        names = await session.ask(queries.question("relation_names", oids=f"ARRAY[{oids}]::oid[]"))
        return cls.named((names.get(str(each["oid"]), ""), each) for each in suspects)

    @classmethod
    def named(cls, suspects: Iterable[tuple[str, Suspect]]) -> Suspects:
        """Return tables by their names.

        Args:
            suspects: The tables, each with its name.
        """
        found: dict[str, list[tuple[frozenset[str], Suspect]]] = {}
        for name, each in suspects:
            first, *others = _WORD.findall(name.casefold()) or [""]
            found.setdefault(first, []).append((frozenset(others), each))
        return cls(found)

    def in_script(self, script: str) -> tuple[Suspect, ...]:
        """Return the tables that a script names, and those whose names hold no word.

        Args:
            script: The script.
        """
        words = dict.fromkeys((*_WORD.findall(script.casefold()), ""))
        return tuple(each for word in words for others, each in self._by_word.get(word, ()) if others <= words.keys())
