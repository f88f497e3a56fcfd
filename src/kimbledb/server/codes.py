"""The SQLSTATEs that this library's own SQL blocks raise, and how to recognise them.

A script can raise the same SQLSTATEs. What our blocks raise is signed
(``kimbledb.server.queries.SIGNATURE``), and ``own_code()`` checks the signature.
"""

from __future__ import annotations

from typing import Final

from kimbledb.server import queries
from kimbledb.server.driver import Notice, ServerError

#: The server's own SQLSTATE of a missing privilege, or of a policy that would hide rows.
INSUFFICIENT_PRIVILEGE: Final = "42501"
#: That of a statement that was cancelled, by its timeout or by somebody.
QUERY_CANCELLED: Final = "57014"
#: That of a limit of the server, and of ours on the rows that are compared each with each.
LIMIT_EXCEEDED: Final = "54000"
#: That of a table that does not exist.
UNDEFINED_TABLE: Final = "42P01"
#: Those of a name that the server does not know: a function, a table, a column, or an object such as a type.
UNDEFINED: Final = frozenset({"42883", UNDEFINED_TABLE, "42703", "42704"})
#: Those of a statement that cannot run inside a transaction block, and of an invalid transaction termination.
NEEDS_NO_TRANSACTION: Final = frozenset({"25001", "2D000"})
#: The classes of those of statements that need rows: cardinality, values, constraints, an exception of a block.
ABOUT_ROWS: Final = frozenset({"21", "22", "23", "P0"})

# Errors: a block stopped its transaction.
#: Another run holds the lock; the detail lists the lock's holders.
LOCK_BUSY: Final = "KD001"
#: Another run has written history since this run read it.
HISTORY_MOVED: Final = "KD002"
#: A script ended its transaction.
TRANSACTION_ENDED: Final = "KD003"
#: A script changed objects outside of its schema.
REACHED_OUTSIDE: Final = "KD004"
#: A check of a migration failed.
VERIFICATION_FAILED: Final = "KD005"
#: A script would lose rows or values.
DATA_LOSS: Final = "KD006"
#: Strangers own, or may create, objects on the search_path.
UNSAFE_PATH: Final = "KD007"
#: ``migration_history`` or ``migration_log`` has a shape that cannot be read or taken over.
OTHER_SHAPE: Final = "KD008"
#: The server would read the message by other settings than those it is written for.
READ_OTHERWISE: Final = "KD009"
#: A script changed history, or what guards it.
HISTORY_CHANGED: Final = "KD011"
#: A script passed over an index that is not valid.
INDEX_NOT_VALID: Final = "KD012"
#: An object that a migration declares is missing, not valid or a stranger's, or one that it drops still exists.
NOT_PROVED: Final = "KD013"
#: The objects or the rows are not those of the plan that was signed.
PLAN_MOVED: Final = "KD014"
#: A brief check saw a sign of something that only a full one can decide; the detail names it.
LOOK_CLOSER: Final = "KD015"

# Notices: a block answers, and its transaction goes on.
#: The answer to a question.
ANSWERED: Final = "KD100"
#: The results of the checks of migrations.
CHECKED: Final = "KD101"
#: The row of history is written.
RECORDED: Final = "KD102"
#: The position of the write-ahead log after a COMMIT.
WAL_POSITION: Final = "KD103"
#: The process of the server that runs the transaction.
PROCESS_ID: Final = "KD104"
#: The settings of the session before the transaction.
BEFORE: Final = "KD105"
#: The rows and values that a script lost, as ``kimbledb.inspection.data_loss.measured()`` reads them.
MEASURED: Final = "KD106"
#: A failed script deallocated prepared statements that the driver keeps.
DEALLOCATED: Final = "KD107"
#: A statement failed in a scratch schema, and was left out.
LEFT_OUT: Final = "KD108"
#: The number of copied rows of a table that was set aside.
COPIED: Final = "KD109"
#: The notices that a call receives as answers.
ANSWERS: Final = frozenset({ANSWERED, CHECKED, RECORDED, WAL_POSITION, MEASURED, LEFT_OUT, COPIED})


def own_code(raised: ServerError | Notice) -> str | None:
    """Return the SQLSTATE of an error or a notice that one of our own blocks raised, or None for any other."""
    return raised.sqlstate if raised.constraint_name == queries.SIGNATURE else None
