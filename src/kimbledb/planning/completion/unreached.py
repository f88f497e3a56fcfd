"""The parts of a half-present migration that no statement brings, and those that its history holds without a proof."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from kimbledb.catalog import statements
from kimbledb.model.objects import SAID_OF_OTHERS, Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer
from kimbledb.planning.completion.scope import Scope, at_place
from kimbledb.planning.fold import split

#: The first words of statements that make no object.
_OF_ROWS = re.compile(r"(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|WITH|SELECT|CALL|DO|COPY)\b", re.IGNORECASE)


def removals(scope: Scope, objects: Mapping[Key, Facts]) -> Iterator[str]:
    """Yield what the migration drops or renames and what is still there: no such statement runs on what is there in part.

    Args:
        scope: The migration.
        objects: The objects of the schema, by their later names.
    """
    if not scope.has_begun:
        return
    declared = scope.fold.objects
    for statement in scope.migration.declarations.on(hosted=scope.hosted):
        place = f"{scope.migration.file(statement.part)}:{statement.line}"
        for (kind, old), name in statement.renames.items():
            if (kind, old) in objects and (kind, name) not in objects and (kind, old) in declared:
                yield f"{kind} {old} becomes {name} and gives its name to another only where nothing of the migration is ({place})"
        for each in statement.drops:
            if each.key in objects and each.key not in declared and each.kind not in SAID_OF_OTHERS:
                yield f"{each} is still there, and is dropped only where nothing of the migration is ({place})"


def lost(scope: Scope, found: Snapshot, after: Snapshot, idle: Collection[Key]) -> Iterator[tuple[str, str]]:
    """Yield the objects with data that would have to be dropped, in words, each with its table.

    Args:
        scope: The migration.
        found: The schema under its later names.
        after: The schema afterwards.
        idle: The objects that hold nothing.
    """
    for kind, name in writer.lost(found, after):
        if (kind, name) not in idle:
            words = f"{kind} {name} cannot get its declared form and keep what it holds"
            yield at_place(scope.fold.objects.get((kind, name)), words), split(name)[0] or name


def not_run(scope: Scope) -> Iterator[str]:
    """Yield the statements of the script that make no object, where the script does not run.

    Args:
        scope: The migration.
    """
    if not scope.has_begun:
        return
    script = scope.migration.script("apply")
    declared = {(each.line, each.column) for each in scope.migration.declarations.statements}
    for statement in statements.split(script.text):
        place = script.line_and_column(statement.start)
        word = _OF_ROWS.match(statement.text)
        if word and place not in declared and (place[0], 1) not in declared:
            yield f"{script.path}:{place[0]} {word[1].upper()}"


def unproven(scope: Scope) -> Iterator[Key]:
    """Yield what the migration declares, and a later one that is applied has renamed, dropped or made again.

    Args:
        scope: The migration.
    """
    for statement in scope.migration.declarations.on(hosted=scope.hosted):
        keys = [each.key for each in (*statement.creates, *statement.changes)]
        for key in (*keys, *((kind, name) for (kind, _), name in statement.renames.items())):
            forms = scope.fold.since(scope.migration, key)
            if scope.fold.is_gone(scope.migration, key) or (forms and forms[-1].key != key):
                yield key
        for key in (*(each.key for each in statement.drops), *statement.renames):
            if key in scope.fold.objects:
                yield key
