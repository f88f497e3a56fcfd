"""rehearse(queries=): the queries of the application of before, beside the schema of after."""

from __future__ import annotations

import secrets

import kimbledb
from tests.support.databases import fresh_database, sql
from tests.support.folders import Folder
from tests.support.two_versions import BREAKING, HARMLESS

#: How many cases stand in one migration.
TOGETHER = 10


async def test_what_breaks_is_named_and_what_does_not_is_not(server: str, folder: Folder) -> None:
    """Of a hundred changes those that break a query are named with the migration and the reason; no other is."""
    role = f"shop_{secrets.token_hex(4)}"
    cases = [*BREAKING, *HARMLESS]

    def of_case(text: str, number: int) -> str:
        return text.replace("@", str(number)).replace("~", role)

    numbered = list(enumerate(cases, 100))
    for place in range(0, len(numbered), TOGETHER):
        some = numbered[place : place + TOGETHER]
        text = "\n".join(of_case(each.migration, number) for number, each in some)
        reached = [f"schema home{number}" for number, each in some if "home@" in each.migration]
        folder.add(10 + place // TOGETHER, f"m{place // TOGETHER}", text, facts=f"reaches = {reached}")
    queries = {f"{of_case(each.query, number)} /* {number} */": number for number, each in numbered}
    await sql(server, f"CREATE ROLE {role}")
    try:
        async with fresh_database(server) as dsn:
            await sql(dsn, "\n".join(of_case(each.before, number) for number, each in numbered))
            report = await kimbledb.rehearse(dsn, catalog=folder.catalog, server=server, queries=list(queries))
    finally:
        await sql(server, f"DROP ROLE {role}")

    assert not report.failing
    assert report.queries == len(cases)
    found = {queries[each.query]: each for each in report.breaks}
    expected = {number: each for number, each in numbered if each.reason is not None}
    alarms = {
        number: (found[number].reason, of_case(cases[number - 100].migration, number))
        for number in found.keys() - expected.keys()
    }
    missed = {number: of_case(each.migration, number) for number, each in expected.items() if number not in found}
    assert (missed, alarms) == ({}, {})
    wrong = {
        number: (found[number].migration, found[number].reason)
        for number, each in expected.items()
        if of_case(str(each.reason), number) not in found[number].reason
        or found[number].migration != f"m{(number - 100) // TOGETHER}.sql"
    }
    assert wrong == {}
