"""The text that is sent before and after a script: lock, settings, guards, proof, history row, COMMIT.

Nothing is sent from here. ``kimbledb.execution.transaction`` sends the messages and reads the answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from kimbledb.execution.work import Work
from kimbledb.inspection import proof
from kimbledb.inspection.checks import checks_block, checks_handed
from kimbledb.inspection.proof import Site
from kimbledb.model.forms import kept_as_dict
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.reach import places, wholes
from kimbledb.server import loops, queries
from kimbledb.server.locks import end_claim, lock_key, take_lock, take_lock_values
from kimbledb.server.loops import Handed, Noted, Piece, ScriptText, written
from kimbledb.server.search_path import guard_briefly, guard_of, path_of
from kimbledb.server.session import BEGIN, Session
from kimbledb.server.settings import durable, milliseconds, setting
from kimbledb.version import __version__

#: A setting with a dot in its name, where a script sets one.
_NAMES_SETTING = re.compile(
    r"""set_config\s*\(\s*'([^'.]+\.[^']+)'|\bset\s+(?:session\s+|local\s+)?("?\w+"?(?:\s*\.\s*"?\w+"?)+)""",
    re.IGNORECASE,
)
#: The settings by which row level security identifies the user.
_IDENTITY = frozenset({"request.jwt.claims", "request.jwt.claim.sub", "request.jwt.claim.role", "kimbledb.user_id"})


def begin_step(
    schema: str,
    log_position: int | None,
    path: Sequence[str] = (),
    reached: Sequence[str] = (),
    *,
    brief: bool = False,
    handed: bool = False,
) -> str:
    """Return the start of each transaction that changes a schema's history.

    It takes the schema's lock, and fails where a statement could call an object of a stranger, or
    where the log has moved on since the plan was made.

    Args:
        schema: The target schema.
        log_position: The id of the newest entry of the log at that time. None to skip that comparison.
        path: The schemas in which a script looks names up.
        reached: The schemas that migrations declare to reach.
        brief: As in ``Work.brief``.
        handed: Whether ``kimbledb.step`` says instead what the newest entry is.
    """
    head = queries.filled("own_entry", schema=quote_identifier(schema)) if handed else str(log_position or 0)
    return queries.block(
        "begin_step",
        lock=queries.filled("take_lock", **take_lock_values(lock_key(schema))),
        guard=guard_briefly(path or (schema,)) if brief else guard_of(path or (schema,), reached),
        schema=quote_identifier(schema),
        head="NULL" if log_position is None and not handed else head,
    )


def before_script(schema: str, path: Sequence[str], reaches: tuple[str, ...] = (), *, closed: bool = False) -> str:
    """Return the text right before a script whose reach ``check_reach()`` checks afterwards.

    Args:
        schema: The target schema.
        path: The schemas in which the script looks names up.
        reaches: The objects and schemas outside of it that the migration declares to reach, as in its facts.
        closed: Whether ``take_back()`` stands after the script, since its catalog is closed.
    """
    return written(_before_script(schema, path, reaches, closed=closed))


def _before_script(
    schema: str,
    path: Sequence[str],
    reaches: tuple[str, ...],
    *,
    closed: bool,
    settable: Sequence[str] = (),
    measuring: str = "",
    of: str = "",
) -> list[Piece]:
    """Return the text right before a script in pieces.

    Args:
        schema: The target schema.
        path: The schemas in which the script looks names up.
        reaches: As for ``before_script()``.
        closed: As for ``before_script()``.
        settable: As ``Session.settable``; where there are none, the server is asked for them.
        measuring: Statements that look names up in pg_catalog, which run first.
        of: As for ``Noted``.
    """
    # To plan the query by name takes twice as long, and few migrations declare a name.
    gone = "gone_by_name" if any("." in each for each in reaches) else "gone"
    names = quote_literal("{" + ",".join(settable) + "}") if settable else queries.text_of("settable")
    return [
        Session.path() + measuring,
        Noted(
            queries.filled("note_settings", settable=names) + "\n", ("kimbledb.settable", "kimbledb.session_set"), of=of
        ),
        queries.filled(
            "before_script",
            history=quote_literal(f"{quote_identifier(schema)}.migration_history"),
            log=quote_literal(f"{quote_identifier(schema)}.migration_log"),
        )
        + "\n",
        queries.block("keep_gone", gone=queries.text_of(gone)),
        (keep_older() if closed else "") + Session.path(path),
    ]


def keep_older(*, goes_on: bool = False) -> str:
    """Return the block before a script of a closed catalog by which ``take_back()`` knows what the script made.

    Args:
        goes_on: Whether the script runs statement by statement, and this is not before its first one.
    """
    names = ("relations", "routines")
    kept = {name: f"pg_catalog.current_setting('kimbledb.closed_{name}', true)" if goes_on else "''" for name in names}
    return queries.block("older", **kept)


def take_back() -> str:
    """Return the block after a script of a closed catalog that takes back what default privileges gave on what it made.

    It needs no search_path.
    """
    return queries.block("take_back")


def check_reach(schema: str, reaches: tuple[str, ...]) -> str:
    """Return the text after that script. It fails where the script changed history or reached outside of its schema.

    Args:
        schema: The target schema.
        reaches: As for ``before_script()``.
    """
    return queries.block("check_script", parts=_reach(schema, reaches) + queries.text_of("check_history"))


@lru_cache(maxsize=8)
def _reach(schema: str, reaches: tuple[str, ...], *, brief: bool = False) -> str:
    """Return the part of ``check_script.sql`` that fails where a script reached outside of its schema."""
    literal = quote_literal(schema)
    values = {
        "schema_literal": literal,
        "ended": queries.text_of("transaction_ended"),
        "reaches": quote_array(places(reaches)),
        "whole": quote_array(wholes(reaches)),
    }
    if brief:
        elsewhere = queries.filled("look_closer", what="'reach'")
    else:
        # Text, so that the server does not read it where it is not wanted.
        block = "DO " + quote_literal(queries.filled("check_elsewhere", **values))
        elsewhere = "        EXECUTE " + quote_literal(block)
    return queries.filled("check_reach", elsewhere=elsewhere, **values) + "\n"


class Messages:
    """The parts of the messages that carry scripts, for one schema and one session."""

    def __init__(self, session: Session, site: Site) -> None:
        """Take what all messages of a run share.

        Args:
            session: The session, whose settings and limits hold.
            site: The target schema, the schemas in which scripts look names up, and those that migrations reach.
        """
        self.session = session
        self.site = site
        self.schema = site.schema
        self.path = tuple(site.path)
        self.reached = tuple(site.reached)

    def begin(self, *works: Work, holds_tables: bool = True) -> str:
        """Return the begin of a transaction, which notes the settings that its scripts may change.

        Args:
            works: The work whose scripts run in it.
            holds_tables: Whether the transaction may keep locks on tables.
        """
        remember = self._remember(works)
        return BEGIN + (remember if holds_tables else _without_locks(remember))

    def _remember(self, works: Iterable[Work], *, begun: bool = True) -> str:
        return self.session.remember({name for work in works for name in _settings_named(work.sql)}, begun=begun)

    def settings(self, work: Work) -> str:
        """Return the settings that hold for a script."""
        return self.session.settings(statement_timeout=work.migration.statement_timeout, waits=work.last)

    def setting_up(self, work: Work, log_position: int, *, holds_tables: bool = True) -> str:
        """Return the text between BEGIN and a script.

        Args:
            work: The work whose script runs.
            log_position: The id of the log's newest entry when the plan was made.
            holds_tables: Whether the transaction may keep the locks on the log that reading it takes. In a
                transaction that idles while another session works, a REINDEX or VACUUM FULL of that
                session would wait for them.
        """
        settings, facts, begin, condition = self._set_up(work, log_position)
        if not holds_tables:
            return written([settings, facts, take_lock(lock_key(self.schema)), _without_locks(begin + condition)])
        return written([settings, facts, begin, condition])

    def _set_up(self, work: Work, before: int | Work) -> tuple[str, Handed, str, str]:
        """Return the text between BEGIN and a script, in pieces.

        Args:
            work: The work whose script runs.
            before: As for ``transaction()``.
        """
        expected = {"after": before.migration.name} if isinstance(before, Work) else {"head": before}
        checks = checks_handed([work.migration]) if work.verify else {}
        begin = begin_step(self.schema, None, self.path, self.reached, brief=work.brief, handed=True)
        facts = Handed({"kimbledb.step": self.facts(work) | expected, **checks})
        return self.settings(work), facts, begin, work.condition

    def holding(self, work: Work, log_position: int) -> str:
        """Return the begin of a transaction that takes the lock and then idles while another session works."""
        # No call lasts longer than its deadline. A lock that is held for longer belongs to a client that is gone.
        patience = milliseconds(self.session.options.deadline)
        return (
            self.begin(work, holds_tables=False)
            + self.setting_up(work, log_position, holds_tables=False)
            + f"SET LOCAL idle_in_transaction_session_timeout = {patience};\n"
        )

    def before(self, work: Work) -> str:
        """Return the text between the start of the transaction and the script."""
        return written(self._before(work))

    def _before(self, work: Work) -> list[Piece]:
        return _before_script(
            self.schema,
            self.path,
            work.migration.reaches,
            closed=work.closes,
            settable=self.session.settable,
            measuring="" if work.guard is None else work.guard.before(),
            of=self.settings(work),
        )

    def transaction(self, work: Work, before: int | Work) -> list[Piece]:
        """Return the transaction of a script in pieces, from what follows ``begin()`` to its COMMIT.

        Args:
            work: The work whose script runs.
            before: The id of the log's newest entry when the plan was made, or the work that has written it in the
                transaction before this.
        """
        return [
            *self._set_up(work, before),
            *self._before(work),
            *self.body(work),
            *self._closing(work, self._looked_up(work)),
        ]

    def loop(self, works: Sequence[Work], log_position: int) -> str:
        """Return the message that runs several transactions as one block, for a session that is our own.

        Each expects what the one before it recorded.

        Args:
            works: The work, in order, all of it verified or none.
            log_position: The id of the log's newest entry when the plan was made.
        """
        remember = Noted(self._remember(works, begun=False), ("kimbledb.session",))
        most = max(len(work.scripts) for work in works)
        declared, looked_up = proof.statement_of_several(
            [(work.declared if work.is_declared else (), work.left) for work in works],
            self.site,
            judging=works[0].verify,
        )
        before: list[int | Work] = [log_position, *works]
        return loops.loop(
            self.session.reading(),
            [
                [
                    remember,
                    self.session.begun_block(),
                    *self._set_up(work, expected),
                    Handed({"kimbledb.declared": objects}),
                    *self._before(work),
                    *self.body(work, most),
                    *self._closing(work, looked_up if work.is_declared else ""),
                ]
                for work, expected, objects in zip(works, before, declared, strict=False)
            ],
            end_claim(self.schema) if works[-1].last else "",
        )

    def body(self, work: Work, size: int = 0) -> list[Piece]:
        """Return the scripts of a transaction with what stands between them.

        Args:
            work: The work.
            size: The number of scripts for which there is to be room.
        """
        pieces: list[Piece] = []
        for script in work.scripts:
            if pieces:
                pieces.append(self.between(work))
            pieces.append(ScriptText(script.text))
        while len(pieces) < 2 * size - 1:
            pieces += ["", ScriptText(None)]
        return pieces

    def between(self, work: Work, *, closing: bool = True) -> str:
        """Return the text between apply.sql and hosted.sql: the second begins under the conditions of the first.

        Args:
            work: The work.
            closing: Whether what apply.sql made is closed there if its catalog is closed.
        """
        closed = take_back() if closing and work.closes else ""
        return self.after(work) + closed + "SET CONSTRAINTS ALL DEFERRED;\n" + self.session.path(self.path)

    def ending(self, work: Work) -> str:
        """Return the text right after the last script of a transaction."""
        return self.after(work) + self._closed(work)

    def granting(self, statements: Sequence[str]) -> str:
        """Return the block that grants, after a rollback, what roles had before its migration.

        Args:
            statements: The statements that grant.
        """
        if not statements:
            return ""
        path = quote_literal(path_of(self.path))
        return queries.block("grant_again", path=path, statements=quote_array(statements))

    def after(self, work: Work) -> str:
        """Return the text right after a script: from there on every statement is kimbledb's again."""
        return self._after() + self.settings(work)

    @staticmethod
    def _after() -> str:
        # Deferred constraints, triggers among them, belong to the script.
        return "SET CONSTRAINTS ALL IMMEDIATE;\n" + queries.block(
            "after_script", ended=queries.text_of("transaction_ended")
        )

    def closing(self, work: Work, more: str = "", noting: str = "") -> str:
        """Return all that stands between a script and the end of its transaction.

        Args:
            work: The work whose script runs. It may pass over an index that is not valid.
            more: Statements that run right after the script.
            noting: Statements that run after the data loss was measured.
        """
        pieces = self._closing(work, self._looked_up(work), indexes=False)
        ending, settings, closed, checking, *others = pieces
        return ending + settings + closed + more + checking + noting + "".join(others)

    def _closing(self, work: Work, looked_up: str, *, indexes: bool = True) -> list[str]:
        """Return all that stands between a script and the end of its transaction, in pieces.

        Args:
            work: The work whose script runs.
            looked_up: The statement that looks up the declared objects.
            indexes: Whether a script that passes over an index which is not valid fails.
        """
        return [
            self._after(),
            self.settings(work),
            self._closed(work),
            self.checking(work, indexes=indexes),
            looked_up,
            self._checked(work),
            self._recording(work),
            self.session.leaving(brief=work.brief),
            self._committing(work),
        ]

    def _closed(self, work: Work) -> str:
        # With two scripts the taking back stands between them.
        closes = work.closes and len(work.scripts) == 1
        return (take_back() if closes else "") + self.granting(work.grants)

    def checking(self, work: Work, *, indexes: bool) -> str:
        """Return the block that fails where a script did something forbidden. The arguments are those of ``closing()``."""
        # To ask for what only few reach is short where it is not foreseen.
        brief = work.brief and not work.migration.reaches
        parts = queries.filled("check_indexes", known=quote_array(work.known)) + "\n" if indexes else ""
        parts += _reach(self.schema, work.migration.reaches, brief=brief) + queries.text_of("check_history")
        guard = work.guard
        if guard is None:
            return queries.block("check_script", parts=parts)
        if guard.suspects:
            return queries.block("check_script", parts=parts) + guard.after()
        return queries.block("check_script", parts=f"{parts}\n{guard.measuring()}")

    def proof(self, work: Work) -> str:
        """Return the statements that look up the declared objects, and run the migration's checks, if they are wanted.

        The forms of declared objects are taken in any case, for history.
        """
        return self._looked_up(work) + self._checked(work)

    def _looked_up(self, work: Work) -> str:
        if work.is_declared:
            return proof.statement(work.declared, self.site, judging=work.verify, left=work.left)
        if work.restored:
            restored = [proof.Declared(each.each, each.statement) for each in work.restored]
            return proof.statement(restored, self.site, judging=False)
        return ""

    def _checked(self, work: Work) -> str:
        return checks_block(self.session, self.path, judging=True) if work.verify else ""

    def record(self, work: Work) -> str:
        """Return the history row, the COMMIT and, for the last transaction, the question for the WAL position.

        Args:
            work: The work to record.
        """
        return self._recording(work) + self._committing(work)

    def _recording(self, work: Work) -> str:
        return queries.block(
            work.record,
            schema=quote_identifier(self.schema),
            forms="current_setting('kimbledb.forms')::jsonb" if work.is_declared or work.restored else "NULL",
            restored=f"{quote_literal(json.dumps(work.restored_forms))}::jsonb",
            own_forms=quote_array(work.own_forms),
            left=f"{quote_literal(json.dumps(kept_as_dict(work.kept)))}::jsonb",
        )

    @staticmethod
    def _committing(work: Work) -> str:
        # The script may have set it.
        return (durable() if work.last else "") + "COMMIT;\n" + (queries.block("wal_position") if work.last else "")

    def failure(self, work: Work, message: str, seconds: float) -> str:
        """Return the transaction that records a failed try in the log.

        Args:
            work: The work that failed.
            message: The error, without any value of a row.
            seconds: How long the try took.
        """
        facts = self.facts(work) | {"event": work.event, "error": message, "milliseconds": round(seconds * 1000)}
        return (
            BEGIN
            + self.session.settings()
            + setting("kimbledb.step", facts)
            + queries.block("record_failed", schema=quote_identifier(self.schema))
            + "COMMIT;\n"
        )

    def facts(self, work: Work) -> dict[str, Any]:
        """Return the facts that history and the log keep of a piece of work."""
        return {
            "name": work.migration.name,
            "checksum": work.migration.checksum,
            "version": __version__,
            "detail": {"run": work.run, **work.detail},
        }


def _without_locks(statements: str) -> str:
    """Return statements that keep no lock: the return to a savepoint releases all locks taken since."""
    return f"SAVEPOINT kimbledb;\n{statements}ROLLBACK TO kimbledb;\nRELEASE kimbledb;\n"


def _settings_named(script: str) -> list[str]:
    """Return the custom settings that a script may change: the server does not list them."""
    found = {re.sub(r"[\s\"]", "", match[1] or match[2]) for match in _NAMES_SETTING.finditer(script)}
    return sorted({name for name in found if not name.startswith("kimbledb.")} | _IDENTITY)
