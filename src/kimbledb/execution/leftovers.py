"""The leftovers of interrupted and failed statements: finds them and clears them away.

The catalogs before a statement are compared with those after it, by identity. Invalid indexes are
dropped and built again, a half detached partition is detached, and constraints that the script
added and did not validate are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen

from kimbledb.execution.script_statement import ScriptStatement
from kimbledb.execution.statement_log import StatementLog
from kimbledb.model.names import quote_identifier
from kimbledb.server import queries
from kimbledb.server.codes import UNDEFINED_TABLE
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.retry import Retry
from kimbledb.server.session import Session
from kimbledb.server.settings import milliseconds

#: An index that is not valid, as ``invalid_indexes.sql`` describes it.
InvalidIndex = dict[str, Any]
#: The SQLSTATE of "relation ... already exists", also where it is a notice.
_EXISTS_ALREADY = "42P07"
#: The SQLSTATE of a partition that an interrupted DETACH has left half detached.
_NOT_IN_STATE = "55000"


@frozen
class TakenBack:
    """The leftovers of a failure in words: those that were taken back, and those that could not be."""

    done: list[str] = field(factory=list)
    left: list[str] = field(factory=list)


class Leftovers:
    """Finds and clears away what the statements of one script leave behind."""

    def __init__(self, worker: Session, path: Sequence[str], log: StatementLog) -> None:
        """Take where to look.

        Args:
            worker: The session that runs the statements.
            path: The schemas in which they look names up.
            log: The entries about them.
        """
        self._worker = worker
        self._path = tuple(path)
        self._log = log

    async def find(self) -> dict[str, list[dict[str, Any]]]:
        """Return the indexes, constraints and partitions that the script's statements have left half done."""
        found: dict[str, list[dict[str, Any]]] = await self._worker.ask(
            queries.question("left_behind", statements=self._log.entries(), indexes=queries.text_of("invalid_indexes"))
        )
        return found

    async def invalid_indexes(self) -> list[InvalidIndex]:
        """Return all indexes that are not valid."""
        # No transaction is begun: this runs within one and outside of one.
        question = queries.question("not_valid", indexes=queries.text_of("invalid_indexes"))
        own, script = self._worker.path(for_session=True), self._worker.path(self._path, for_session=True)
        [answer] = await self._worker.send(own + question + script)
        invalid: list[InvalidIndex] = answer.value
        return invalid

    async def clear(self, found: dict[str, list[dict[str, Any]]]) -> None:
        """Drop the invalid indexes, and detach the half detached partitions, of an earlier try.

        Args:
            found: As ``find()`` returns it.

        Raises:
            Retry: Another session still builds one of the indexes.
        """
        for index in found["indexes"]:
            await self.drop(index)
        for partition in found["partitions"]:
            await self._detach(partition)

    async def drop(self, index: InvalidIndex) -> None:
        """Drop an invalid index.

        Raises:
            Retry: Another session still builds it.
        """
        if index["busy"]:
            raise being_built(index)
        await self._worker.send(_dropping(index))

    async def repair(self, index: InvalidIndex) -> None:
        """Build an invalid index again, in place."""
        await self._worker.send(f"REINDEX INDEX CONCURRENTLY {_qualified(index)}")

    async def take_back(self, taken: TakenBack) -> None:
        """After a failure, drop what would hinder the application: invalid indexes and unvalidated constraints.

        Args:
            taken: To which each is added, in words.
        """
        await self._worker.send(f"SET lock_timeout = {milliseconds(self._worker.options.lock_timeout)}")
        found = await self.find()
        for index in found["indexes"]:
            shown = f"the index {index['name']}, which is not valid"
            if index["busy"]:
                taken.left.append(f"{shown} (another session is at work on its table)")
            else:
                await self._try(_dropping(index), shown, taken)
        for key in found["constraints"]:
            drop = f"BEGIN;\nALTER {key['on']} DROP CONSTRAINT {key['name']};\n"
            note = self._log.closing(key["statement"], "taken back")
            await self._try(drop + note, f"the constraint {shown_constraint(key)}, which is not validated", taken)
        for partition in found["partitions"]:
            if partition["pending"]:
                taken.left.append(f"the partition {partition['child']}, which is half detached")

    async def _try(self, message: str, shown: str, taken: TakenBack) -> None:
        try:
            await self._worker.send(message)
        except ServerError as error:
            taken.left.append(f"{shown} ({first_line(error)})")
        else:
            taken.done.append(shown)

    async def is_detached(self, statement: ScriptStatement, error: ServerError) -> bool:
        """Whether a DETACH failed because an earlier one was interrupted, which is then finished.

        Args:
            statement: The statement that failed.
            error: The server's error.
        """
        pending = error.sqlstate == _NOT_IN_STATE
        # A table that is no partition any more is an undefined one.
        if statement.kind != "detach" or not (pending or error.sqlstate == UNDEFINED_TABLE):
            return False
        found = await self.find()
        for partition in found["partitions"]:
            if partition["statement"] == statement.digest and partition["pending"] is pending:
                await self._detach(partition)
                return True
        return False

    async def _detach(self, partition: dict[str, Any]) -> None:
        """Finish a half detached partition, and note that it is detached."""
        finish = f"ALTER TABLE {partition['parent']} DETACH PARTITION {partition['child']} FINALIZE;\n"
        note = self._log.closing(partition["statement"], "done")
        await self._worker.send("BEGIN;\n" + (finish if partition["pending"] else "") + note)

    async def refuse_beside_another_build(self, statement: ScriptStatement) -> None:
        """Give way to another session's build of an index on the same table: each would wait for the other.

        Args:
            statement: The one that is to run.

        Raises:
            Retry: There is such a build.
        """
        if statement.kind not in ("index", "reindex"):
            return
        words = statement.words
        everywhere = statement.kind == "reindex" and not words.isdisjoint({"database", "system"})
        for index in await self.invalid_indexes():
            there = index["table"] in words or (statement.kind == "reindex" and index["schema"] in words)
            if index["busy"] and (there or everywhere):
                raise being_built(index)

    async def send(self, statement: ScriptStatement) -> list[InvalidIndex]:
        """Run a statement, and return the invalid indexes that it passed over.

        The server reports one in a message that names the index, in whatever language: that it exists
        already, or that it cannot be built again.

        Args:
            statement: The one that is to run.

        Raises:
            ServerError: It failed for another reason.
        """
        heard: list[tuple[str, str]] = []
        try:
            await self._worker.send(statement.text, notices=heard)
        except ServerError as error:
            if error.sqlstate != _EXISTS_ALREADY:
                raise
            passed_over = await self._passed_over(statement, [(_EXISTS_ALREADY, str(error))])
            if not passed_over:
                raise
            return passed_over
        return await self._passed_over(statement, heard)

    async def _passed_over(self, statement: ScriptStatement, heard: Sequence[tuple[str, str]]) -> list[InvalidIndex]:
        """Return the invalid indexes that messages of the server name, each a SQLSTATE and a text."""
        said = [text for code, text in heard if code == _EXISTS_ALREADY or statement.kind == "reindex"]
        if not said or statement.kind not in ("index", "reindex"):
            return []
        named = [
            index
            for index in await self.invalid_indexes()
            if any(re.search(rf"(?<!\w){re.escape(index['name'])}(?!\w)", text) for text in said)
        ]
        if statement.kind == "reindex":
            return named
        named = [index for index in named if {index["name"], index["table"]} <= statement.words]
        # It is in the schema that the statement names, else in the first of the path that has one.
        given = [index for index in named if index["schema"] in statement.words]
        return given or [index for schema in self._path for index in named if index["schema"] == schema][:1]


def being_built(index: InvalidIndex) -> Retry:
    """Return the reason to give way to another session's build of an index."""
    return Retry(blockers=(f"a build of the index {index['name']}",))


def never_valid(index: InvalidIndex) -> Retry:
    """Return the reason to try again where an index is not valid even after it was built."""
    return Retry(contended=f"the index {index['name']} is not valid after its build")


def shown_constraint(key: dict[str, Any]) -> str:
    """Return a constraint with its table or domain, as it is shown."""
    return f"{key['name']} on {key['on'].partition(' ')[2]}"


def _qualified(index: InvalidIndex) -> str:
    return f"{quote_identifier(index['schema'])}.{quote_identifier(index['name'])}"


def _dropping(index: InvalidIndex) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {_qualified(index)}"
