"""What the rows of a schema allow: which tables hold any, which columns hold NULL, which materialized views are filled."""

from __future__ import annotations

from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.objects import parts_of
from kimbledb.planning.completion import Rows, Unfinished
from kimbledb.planning.fold import split
from kimbledb.planning.writer.names import written
from kimbledb.server import queries


def question(schema: str, unfinished: Unfinished) -> str | None:
    """Return the block that answers with the value that ``rows_of()`` reads, or None where nothing need be asked.

    Args:
        schema: The target schema.
        unfinished: The migration that is there in part.
    """
    home = quote_identifier(schema)
    asked = [
        f"({quote_literal(table)}, 'filled', EXISTS (SELECT FROM ONLY {home}.{written(now)}))"
        for table, now in unfinished.tables_asked.items()
    ]
    for column, now in unfinished.columns_asked.items():
        table, own = split(now)[0], quote_identifier(parts_of(now)[-1])
        asked.append(
            f"({quote_literal(column)}, 'null', EXISTS (SELECT FROM {home}.{written(table)} WHERE {own} IS NULL))"
        )
    asked += [
        f"({quote_literal(view)}, 'populated', (SELECT relispopulated FROM pg_class WHERE oid = "
        f"to_regclass({quote_literal(f'{home}.{written(now)}')})))"
        for view, now in unfinished.views_asked.items()
    ]
    if not asked:
        return None
    values = ",\n".join(asked)
    return queries.answering(
        "SELECT coalesce(jsonb_agg(jsonb_build_array(name, what)), '[]')"
        f" FROM (VALUES\n{values}\n) AS asked (name, what, so) WHERE so"
    )


def rows_of(answer: list[list[str]]) -> Rows:
    """Return what the rows allow.

    Args:
        answer: The answer to ``question()``.
    """
    return Rows(
        filled=frozenset(name for name, what in answer if what == "filled"),
        null=frozenset(name for name, what in answer if what == "null"),
        populated=frozenset(name for name, what in answer if what == "populated"),
    )
