"""A verify.sql: its named queries."""

from __future__ import annotations

import re

from attrs import evolve

from kimbledb.catalog.script_problems import MOST_PROBLEMS, Problem, capped, misleading, of_command
from kimbledb.catalog.statements import ClientCommand, Statement, UnreadableSQL, is_query, skip_blank, split
from kimbledb.model.check import VerificationQuery
from kimbledb.model.script import Script

_CHECK_NAME = re.compile(r"^--[ \t]*name:(.*)$", re.MULTILINE)
_CHECK_HEADER = re.compile(r"([A-Za-z_][\w-]*)([ \t]+runs)?")


def read_named_queries(script: Script) -> tuple[list[VerificationQuery], list[Problem]]:
    """Read a verify.sql: lines ``-- name: x``, each followed by one SELECT.

    Args:
        script: The text of the file.

    Returns:
        The queries in the order of the file, and the problems of the file.
    """
    text = script.text
    queries: list[VerificationQuery] = []
    problems: list[Problem] = []
    headers = list(_CHECK_NAME.finditer(text))
    if not headers:
        return [], [Problem(0, "it contains no check", "write `-- name: <check>` and a SELECT below it")]
    try:
        beginning = skip_blank(text, 0)
    except UnreadableSQL as error:
        # The headers are in a comment that is never closed.
        return [], [Problem(error.offset, str(error), "close it")]
    if beginning < headers[0].start():
        problems.append(
            Problem(beginning, "this text precedes the first `-- name:`", "write a `-- name:` line above it")
        )
    seen: set[str] = set()
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        if len(problems) >= MOST_PROBLEMS:
            break
        match = _CHECK_HEADER.fullmatch(header[1].strip())
        if match is None:
            problems.append(
                Problem(
                    header.start(),
                    f"{header[0][:80]!r} is no valid name of a check",
                    "write `-- name: <word>` or `-- name: <word> runs`",
                )
            )
            continue
        name, runs = match[1], match[2] is not None
        if name in seen:
            problems.append(Problem(header.start(), f"two checks have the name {name}", "give each check its own name"))
        seen.add(name)
        statement = _statement_of_check(name, text, header, following, problems)
        if statement is not None:
            line, _ = script.line_and_column(header.end() + statement.start)
            queries.append(VerificationQuery(name, statement.text, runs, line))
    return queries, capped(problems)


def _statement_of_check(
    name: str, text: str, header: re.Match[str], following: re.Match[str] | None, problems: list[Problem]
) -> Statement | None:
    """Return the SELECT between a check's header and the next header, or None where there is not exactly one."""
    beginning = header.end()
    body = text[beginning : following.start() if following is not None else len(text)]
    try:
        statements = list(split(body))
    except UnreadableSQL as error:
        problems.append(Problem(beginning + error.offset, str(error), "close it"))
        return None
    except ClientCommand as error:
        problems.append(of_command(error, "ask the system catalogs instead", after=beginning))
        return None
    if not body.isascii():
        problems += [
            evolve(problem, offset=beginning + problem.offset)
            for statement in statements
            for problem in misleading(body, statement)
        ]
    if len(statements) != 1:
        problems.append(
            Problem(header.start(), f"check {name} has {len(statements)} statements", "write one SELECT for each name")
        )
        return None
    [statement] = statements
    if not is_query(statement.skeleton):
        problems.append(
            Problem(beginning + statement.start, f"check {name} is no SELECT", "write a query: a check only reads")
        )
        return None
    return statement
