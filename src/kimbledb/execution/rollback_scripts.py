"""The scripts of a rollback that no file holds: derived for this database, with what must be true after them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from attrs import field, frozen

from kimbledb.errors import RollbackRefusedError
from kimbledb.inspection import history, snapshot
from kimbledb.inspection.history import AppliedHere
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import DatabaseObject, Key, parts_of
from kimbledb.model.plan import Plan
from kimbledb.model.script import Script
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.derived_rollback import NotDerivableError, Objects, derive, objects_after
from kimbledb.planning.fold import relation_of
from kimbledb.planning.grants_again import added, granted_again
from kimbledb.planning.rollback_expectation import Expectation
from kimbledb.planning.rollback_selection import removable, without_rollback
from kimbledb.server import queries
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session

#: Kinds of which history says which a migration made on tables that were there before it.
_NOTED = frozenset({"constraint", "index", "statistics"})


@frozen(kw_only=True)
class RollbackScripts:
    """The derived scripts of a rollback."""

    #: By the name of the migration.
    derived: Mapping[str, Script] = field(factory=dict)
    #: The expected state after all scripts of the rollback.
    expected: Expectation = field(factory=Expectation)
    hosted: bool = False
    #: The statements that run after a rollback and grant what roles had before its migration, by the migration's name.
    grants: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def question(self, schema: str, path: Sequence[str], migrations: Sequence[Migration]) -> str:
        """Return the statements that answer with the objects which the derived rollbacks take away or give back.

        Args:
            schema: The target schema.
            path: The schemas in which scripts look names up.
            migrations: The migrations that are rolled back.
        """
        if not self.expected.objects:
            return ""
        kinds, names = snapshot.scope_of(schema, self.expected.objects)
        reached = [each for migration in migrations for each in migration.reaches]
        text = snapshot.query(schema, kinds, names, reached=reached)
        return queries.anonymous(queries.printed(text, quote_literal(path_of(path))))

    def check(self, found: Snapshot, *, standing: str) -> None:
        """Check the state after the scripts.

        Args:
            found: The objects after the scripts.
            standing: The changes of the call so far, in words.

        Raises:
            RollbackRefusedError: An object is not as it was before the migrations.
        """
        if differences := list(self.expected.differences(found)):
            raise RollbackRefusedError(
                f"a derived rollback does not take back all that its migration did; {standing}:\n"
                + "\n".join(f"  {each}" for each in differences),
                hint="write a rollback.sql for it",
            )


async def load(
    session: Session, schema: str, plan: Plan, going: Sequence[Migration], *, hosted: bool
) -> RollbackScripts:
    """Derive the rollbacks of those migrations that have none of their own.

    Args:
        session: The session.
        schema: The target schema.
        plan: The state of each migration.
        going: The migrations that are rolled back, newest first.
        hosted: Whether the database has the roles of a hosted platform.

    Raises:
        RollbackRefusedError: None can be derived for one of them.
    """
    wanted = {each.name for each in going if each.wants_derived_rollback}
    granting = {each.name for each in going if each.closed} | wanted
    if not granting:
        return RollbackScripts()
    here = await history.applied_here(session, schema)
    applied = [step.migration for step in removable(plan).values()]
    names = {each.name for each in going}
    derived: dict[str, Script] = {}
    expected = Expectation()
    grants: dict[str, tuple[str, ...]] = {}
    for migration, before in _backwards(applied, hosted=hosted):
        if migration.name not in names:
            continue
        if migration.name in granting:
            grants[migration.name] = grants_of(migration, before, hosted=hosted)
        if migration.name not in wanted:
            expected.forget(migration)
            continue
        known = here.get(migration.name, AppliedHere())
        staying = staying_objects(migration, before, known, hosted=hosted)
        try:
            derived[migration.name] = derive(migration, before, hosted=hosted, staying=staying).script
        except NotDerivableError as error:
            raise without_rollback(migration, error.reason) from error
        expected.add(migration, before, hosted=hosted, staying=staying)
    return RollbackScripts(derived=derived, expected=expected, hosted=hosted, grants=grants)


def _backwards(migrations: Sequence[Migration], *, hosted: bool) -> Iterator[tuple[Migration, Objects]]:
    """Yield migrations, newest first, each with the objects that those before it declare.

    Only some of these states are held at a time, and found from there on once more: a state is as large as the schema.

    Args:
        migrations: The migrations, in the order in which they are applied.
        hosted: Whether the database has the roles of a hosted platform.
    """
    size = math.isqrt(len(migrations)) + 1
    blocks = [migrations[first : first + size] for first in range(0, len(migrations), size)]
    states: list[Objects] = []
    objects: Objects = {}
    for block in blocks:
        states.append(objects)
        for migration in block:
            objects = objects_after(objects, migration, hosted=hosted)
    while blocks:
        block, inside = blocks.pop(), [states.pop()]
        for migration in block[:-1]:
            inside.append(objects_after(inside[-1], migration, hosted=hosted))
        yield from zip(reversed(block), reversed(inside), strict=True)


#: For each kind of object its class in default privileges, the function that finds it, and its word in GRANT.
_TARGETS = {
    "table": ("r", "to_regclass", "TABLE"),
    "view": ("r", "to_regclass", "TABLE"),
    "sequence": ("S", "to_regclass", "SEQUENCE"),
    "function": ("f", "to_regprocedure", "ROUTINE"),
}


def grants_of(migration: Migration, before: Mapping[Key, DatabaseObject], *, hosted: bool) -> tuple[str, ...]:
    """Return the statements that run after a rollback, so that roles have what they had before its migration.

    Args:
        migration: The migration, with its declarations.
        before: The objects that the migrations before it declare.
        hosted: Whether the database has the roles of a hosted platform.
    """
    found = list(granted_again(migration, before, hosted=hosted))
    for each in added(migration, before, hosted=hosted):
        if each.target.kind in _TARGETS:
            letter, finder, word = _TARGETS[each.target.kind]
            role = "PUBLIC" if each.role == "public" else each.role
            name = each.target.name.replace("%", "%%")
            found.append(
                queries.block(
                    "give_default",
                    target=f"{finder}({quote_literal(each.target.name)})",
                    **{"class": quote_literal(letter)},
                    role=quote_literal(each.role),
                    may=quote_array(each.may),
                    statement=quote_literal(f"GRANT %s ON {word} {name} TO {role.replace('%', '%%')}"),
                )
            )
    return tuple(found)


def staying_objects(
    migration: Migration, before: Collection[Key], known: AppliedHere, *, hosted: bool
) -> frozenset[Key]:
    """Return the objects that a migration declares to make and that it did not make here: they stood before it.

    Args:
        migration: The migration.
        before: The objects that earlier migrations declare. A name among them belonged to one of these.
        known: The log's entry about its application.
        hosted: Whether the database has the roles of a hosted platform.
    """
    declared = [
        each
        for statement in migration.declarations.on(hosted=hosted)
        for each in statement.creates
        if each.key not in before
    ]
    staying = {each.key for each in declared if str(each) in known.found}
    if known.made is not None:
        fresh = {each.name for each in migration.creates if each.kind in ("table", "view")}
        fresh -= {name for _, name in staying}
        staying |= {
            each.key
            for each in declared
            if each.kind in _NOTED
            and relation_of(each.key, each.facts) not in fresh
            and f"{each.kind} {'.'.join(parts_of(each.name))}" not in known.made
        }
    return frozenset(staying)
