"""Query the rows of a schema: tables that hold any, columns that hold NULL, rows that violate declared constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.planning.breaking_rows import Breaking
from kimbledb.planning.completion import Rows
from kimbledb.planning.completion.questions import Questions
from kimbledb.planning.writer.names import written
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE, LIMIT_EXCEEDED, UNDEFINED
from kimbledb.server.search_path import path_of

#: No row of what is asked.
_NOTHING = "(NULL, NULL, false)"


def question(schema: str, path: Sequence[str], questions: Questions) -> str | None:
    """Return the block that answers with the value that ``rows_of()`` reads, or None where nothing need be asked.

    Args:
        schema: The target schema.
        path: The schema and those of extensions, by which the queries for breaking rows are read.
        questions: The questions for a migration that is there in part.
    """
    home = quote_identifier(schema)
    asked = [
        f"({quote_literal(table)}, 'filled', EXISTS (SELECT FROM ONLY {home}.{written(now)}))"
        for table, now in questions.filled.items()
    ]
    asked += [
        f"({quote_literal(view)}, 'populated', (SELECT relispopulated FROM pg_class WHERE oid = "
        f"to_regclass({quote_literal(f'{home}.{written(now)}')})))"
        for view, now in questions.populated.items()
    ]
    listed = [("null", name, each) for name, each in questions.null.items()]
    listed += _breaking({**questions.breaking, **questions.cut})
    return _block(path, asked, listed) if asked or listed else None


def question_of_breaking(path: Sequence[str], breaking: Mapping[str, Breaking]) -> str:
    """Return the block that answers, as ``question()`` does, which rows break what is declared.

    Args:
        path: The target schema and those of extensions.
        breaking: The rows, by the name of what they break.
    """
    return _block(path, (), _breaking(breaking))


#: A question about rows, the name of the violated constraint, and the rows.
_Listed = tuple[str, str, Breaking]


def _breaking(breaking: Mapping[str, Breaking]) -> list[_Listed]:
    return [("breaking", name, each) for name, each in breaking.items()]


def _block(path: Sequence[str], asked: Sequence[str], listed: Sequence[_Listed]) -> str:
    return queries.block(
        "rows_allow",
        asked=",\n".join(asked or [_NOTHING]),
        kinds=quote_array([what for what, _, _ in listed]),
        names=quote_array([name for _, name, _ in listed]),
        queries=quote_array([each.query for _, _, each in listed]),
        compared=quote_array([each.compared for _, _, each in listed]),
        path=quote_literal(path_of(tuple(path))),
    )


def rows_of(answer: list[list[Any]]) -> Rows:
    """Return the findings about the rows.

    Args:
        answer: The answer to ``question()``.
    """
    said: dict[str, dict[str, Any]] = {}
    for name, what, *value in answer:
        said.setdefault(what, {})[name] = value[0] if value else True
    return Rows(
        filled=frozenset(said.get("filled", ())),
        null=frozenset(name for name, count in said.get("null", {}).items() if count),
        populated=frozenset(said.get("populated", ())),
        breaking={name: count for name, count in said.get("breaking", {}).items() if count},
        undecided={
            **{f"NOT NULL of column {name}": reason(state) for name, state in said.get("undecided null", {}).items()},
            **{name: reason(state) for name, state in said.get("undecided breaking", {}).items()},
        },
    )


def reason(sqlstate: str) -> str:
    """Return the reason why rows could not be looked at.

    Args:
        sqlstate: The SQLSTATE of the query.
    """
    if sqlstate == INSUFFICIENT_PRIVILEGE:
        return "this role may not read the tables"
    if sqlstate == LIMIT_EXCEEDED:
        return "the table has too many rows to compare each with each"
    if sqlstate in UNDEFINED:
        return "it names what is made only then"
    return f"the query for rows that break it fails with SQLSTATE {sqlstate}"
