"""The tables that a completion locks before its first statement."""

from __future__ import annotations

from kimbledb.model.completion import Completion, Conversion
from kimbledb.model.objects import DatabaseObject
from kimbledb.planning import locks_ahead


def key(table: str, column: str, target: str) -> tuple[tuple[str, str], dict[str, str]]:
    """A foreign key of a table."""
    return ("constraint", f"{table}.{table}_{column}"), {"key": f"FOREIGN KEY ({column}) REFERENCES {target}(id)"}


#: The application's tables: messages are of conversations, and both are of users; teams and users refer to each other.
OBJECTS = {
    **{("table", name): {} for name in ("users", "conversations", "messages", "teams", "old_notes")},
    **dict([key("messages", "conversation_id", "conversations"), key("messages", "user_id", "users")]),
    **dict([key("conversations", "user_id", "users"), key("users", "team_id", "teams"), key("teams", "by", "users")]),
}


def test_a_table_is_locked_before_those_that_it_refers_to() -> None:
    """The order is that in which an INSERT takes its locks; where keys are a circle there is none, and all are locked."""
    order = locks_ahead.children_first(("users", "messages", "conversations"), OBJECTS)

    assert order == ["messages", "conversations", "users"]
    assert sorted(locks_ahead.children_first(("users", "teams"), OBJECTS)) == ["teams", "users"]


def test_all_that_a_completion_alters_is_locked_first() -> None:
    """Tables with new parts, changed ones and converted columns, under their present names; what a new key refers to need not be ours."""
    completion = Completion(
        made=(
            DatabaseObject("column", "notes.user_id", {"type": "text"}),
            DatabaseObject("constraint", "notes.notes_user", {"key": "FOREIGN KEY (user_id) REFERENCES users(id)"}),
            DatabaseObject("table", "invoices", {}),
            DatabaseObject("function", "f()", {}),
        ),
        renamed=(("old_notes", DatabaseObject("table", "notes")),),
        converted=(Conversion("messages.at", "timestamp", "timestamptz", None),),
        made_nullable=("conversations.title",),
    )

    assert locks_ahead.statements(completion, OBJECTS) == [
        "LOCK TABLE old_notes IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE messages IN ACCESS EXCLUSIVE MODE",
        "LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE",
    ]
    assert locks_ahead.statements(Completion(), OBJECTS) == []
