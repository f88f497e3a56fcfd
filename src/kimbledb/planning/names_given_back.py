"""Names given back: the statements of a rollback that rename objects, and labels of enums, as they were before. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kimbledb.model.names import quote_literal
from kimbledb.model.objects import PARTS, DatabaseObject, Key, parts_of
from kimbledb.planning import writer
from kimbledb.planning.fold import RELATIONS, split, under_new_names
from kimbledb.planning.writer.names import texts, written

#: A name that no object has, for names that change places.
_BETWEEN = "kimbledb_renamed"


def _labels(each: DatabaseObject) -> tuple[str, ...]:
    return texts(each.facts or {}, "labels")


def is_relabelled(now: DatabaseObject, former: DatabaseObject) -> bool:
    """Return whether labels of an enum have other names, and nothing else differs."""
    return bool(_labels(now)) and len(_labels(now)) == len(_labels(former)) and _labels(now) != _labels(former)


def relabelled(now: DatabaseObject, former: DatabaseObject) -> list[str]:
    """Return the statements that give labels of an enum their earlier names; none where something else differs."""
    if not is_relabelled(now, former):
        return []
    pairs = zip(_labels(now), _labels(former), strict=True)
    return [
        f"ALTER TYPE {written(now.name)} RENAME VALUE {quote_literal(new).strip()} TO {quote_literal(old).strip()}"
        for new, old in pairs
        if new != old
    ]


def renames_back(renames: Mapping[Key, str]) -> Iterator[str]:
    """Yield the statements that give objects their names of before a migration."""
    done: dict[Key, str] = {}
    # Tables come before their parts, whose names follow them.
    for of_parts in (False, True):
        pending = {key: name for key, name in sorted(renames.items()) if (key[0] in PARTS) is of_parts}
        yield from _all_renamed_back(pending, done)


def _all_renamed_back(pending: dict[Key, str], done: dict[Key, str]) -> Iterator[str]:
    """Yield the statements that give names back which may have changed places.

    Args:
        pending: The later name of each object, by its kind and name before the migration.
        done: The earlier name of each object that has it again, by its kind and later name. It receives these.
    """
    now = {key: under_new_names(DatabaseObject(key[0], name), done) for key, name in pending.items()}
    while pending:
        taken = {_namespace(each.key) for each in now.values()}
        key = next((each for each in pending if _namespace(each) not in taken), None)
        if key is None:
            key = next(iter(pending))
            relation = split(now[key].name)[0]
            yield writer.rename(now[key], _BETWEEN)
            now[key] = DatabaseObject(key[0], f"{relation}.{_BETWEEN}" if relation else _BETWEEN)
            continue
        yield writer.rename(now.pop(key), parts_of(key[1])[-1])
        done[key[0], pending.pop(key)] = key[1]


def _namespace(key: Key) -> tuple[str, str]:
    return ("relation" if key[0] in RELATIONS else key[0]), key[1]
