"""Tables set aside: renamed with their rows, keys and all that hangs on them, so that the declared ones are made beside them. Pure.

It is done only for tables that the caller names. What the server names once in a schema (indexes, sequences, and
constraints that it names itself) is renamed, too, since the declared table takes these names. What depends on the table from outside follows it;
what migrations declare of that is made anew. Of the rows those are copied that fit: they satisfy all that is declared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import evolve, field, frozen

from kimbledb.model.completion import Conversion, Copy
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import Facts, Key, parts_of, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import ids, writer
from kimbledb.planning.closed import opened
from kimbledb.planning.fold import owners_of, renamed, split
from kimbledb.planning.locks_ahead import children_first
from kimbledb.planning.writer.constraints import refers_to
from kimbledb.planning.writer.names import own_name, texts, written

#: The suffix of the names.
_END = "_set_aside"
#: Bytes of the longest name.
_LONGEST = 63
#: From version 18 on NOT NULL has a name, too, which a new table would take otherwise.
_NOT_NULL = """DO $kimbledb$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT conname AS name FROM pg_constraint WHERE conrelid = {table}::regclass AND contype = 'n' LOOP
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', {table}, one.name,
                       left(one.name, 53 - octet_length(one.name) + length(one.name)) || '_set_aside');
    END LOOP;
END
$kimbledb$"""


@frozen
class Aside:
    """A schema in which tables were set aside."""

    #: The schema afterwards.
    found: Snapshot
    #: The statements that lead to it.
    statements: tuple[str, ...] = ()
    #: The name of each table afterwards, by its name before.
    names: Mapping[str, str] = field(factory=dict)
    #: The declared objects that depended on the tables from outside and are gone.
    gone: frozenset[Key] = frozenset()


def set_aside(found: Snapshot, tables: Iterable[str], declared: Mapping[Key, Facts], *, closed: bool) -> Aside:
    """Set tables aside.

    Args:
        found: The schema, with what each object needs and the statements that make them.
        tables: The names of the tables, as objects have them.
        declared: What all migrations of the catalog declare: what of it depends on the tables from outside goes, to be made anew.
        closed: Whether people lose what they may do with the rows that are set aside.

    Raises:
        ValueError: The statement that makes something in between is not known.
    """
    there = [each for each in dict.fromkeys(tables) if ("table", each) in found.objects]
    if not there:
        return Aside(found)
    going = {
        *(opened(found.objects, there) if closed else ()),
        *_with_parts(_from_outside(found, there, declared), found),
    }
    later = evolve(found, objects={key: facts for key, facts in found.objects.items() if key not in going})
    statements = writer.difference(found, later)
    found = later
    kinds = ("table", "view", "index", "sequence", "constraint", "statistics")
    taken = {parts_of(name)[-1] for kind, name in found.objects if kind in kinds}
    parts = {
        key: f"{table}.{quoted(_free(parts_of(key[1])[-1], taken))}"
        for table in there
        for key in _constraints(table, found)
    }
    parts |= {key: quoted(_free(parts_of(key[1])[-1], taken)) for table in there for key in _relations(table, found)}
    names = {table: quoted(_free(parts_of(table)[-1], taken)) for table in there}
    for renames in (parts, {("table", table): name for table, name in names.items()}):
        statements += [
            writer.rename(found.get(key), parts_of(name)[-1], beside=found.objects) for key, name in renames.items()
        ]
        found = renamed(found, renames)
    statements += [_NOT_NULL.replace("{table}", quote_literal(written(name))) for name in names.values()]
    gone = frozenset(key for key in going if key[0] != "privilege")
    return Aside(found, tuple(statements), names, gone)


def _from_outside(found: Snapshot, tables: Collection[str], declared: Mapping[Key, Facts]) -> Iterator[Key]:
    """Yield what is declared, depends on tables and is no part of them: foreign keys of other tables, views and the like.

    A foreign key that says the same under another name is the declared one.
    """
    keys = {(split(name)[0], facts.get("key")) for (kind, name), facts in declared.items() if kind == "constraint"}
    for key, facts in found.objects.items():
        is_twin = key[0] == "constraint" and (split(key[1])[0], facts.get("key")) in keys
        if not (key in declared or is_twin) or split(key[1])[0] in tables or facts.get("on") in tables:
            continue
        if key[0] == "constraint":
            if refers_to(facts) in tables:
                yield key
        elif key[0] in ("view", "rule", "policy", "function"):
            needs = found.needs.get(key, ())
            if any(
                (split(name)[0] if kind == "column" else name) in tables
                for kind, name in needs
                if kind in ("table", "column")
            ):
                yield key


def _with_parts(keys: Iterable[Key], found: Snapshot) -> Iterator[Key]:
    """Yield objects, and what the server drops with them: the columns of a view, comments, privileges."""
    going = set(keys)
    yield from going
    for key, facts in found.objects.items():
        if key not in going and going.intersection(owners_of(key, facts)):
            yield key


def copies(
    aside: Aside, later: Mapping[Key, Facts], conversions: Iterable[Conversion | tuple[str, str]]
) -> Iterator[Copy]:
    """Yield what is copied.

    Args:
        aside: The tables.
        later: The objects afterwards, among them the declared tables.
        conversions: For columns of another type the conversions, or the columns that have none with the reasons, all
            by the names of the declared columns.
    """
    known = list(conversions)
    values = {each.column: each.value for each in known if isinstance(each, Conversion)}
    without = dict(each for each in known if not isinstance(each, Conversion))
    for each in known:
        # A number that a text may not have is given anew where a sequence gives it.
        if isinstance(each, Conversion) and each.fits is not None and _is_counted(later.get(each.key, {})):
            without[each.column] = f"not every {each.before} is a number, and new ones are given"
    misfits = {each.column: each.fits for each in known if isinstance(each, Conversion) and each.fits is not None}
    there = [table for table in aside.names if ("table", table) in later]
    for table in reversed(children_first(there, later)):
        source = aside.names[table]
        columns = [name for kind, name in later if kind == "column" and split(name)[0] == table]
        shared = [
            name
            for name in columns
            if ("column", f"{source}.{split(name)[1]}") in aside.found.objects
            and "generated" not in later["column", name]
        ]
        yield Copy(
            table=table,
            source=source,
            values={split(name)[1]: values.get(name, own_name(name)) for name in shared if name not in without},
            fits={own_name(name): misfits[name] for name in shared if name in misfits and name not in without},
            without={split(name)[1]: why for name, why in without.items() if name in shared},
            counted=tuple(
                split(name)[1] for name in shared if name not in without and _is_counted(later["column", name])
            ),
            is_partitioned="partition_by" in aside.found.objects["table", source],
        )


def as_before(aside: Aside) -> Snapshot:
    """Return the schema in which the tables that were set aside have the names that they had."""
    back = {("table", later): name for name, later in aside.names.items()}
    return evolve(aside.found, objects=renamed(aside.found, back).objects)


def keeping(aside: Aside, conversions: Iterable[Conversion]) -> Iterator[str]:
    """Yield the statements that note the ids of rows which are copied under other ids.

    Args:
        aside: The tables.
        conversions: Their conversions, by the names of the declared columns.
    """
    those = [each for each in conversions if split(each.column)[0] in aside.names]
    yield from ids.keeping(those, {table: written(name) for table, name in aside.names.items()})


def _is_counted(facts: Facts) -> bool:
    return "identity" in facts or str(facts.get("default", "")).startswith("nextval(")


def _constraints(table: str, found: Snapshot) -> Iterator[Key]:
    for key in found.objects:
        if key[0] == "constraint" and split(key[1])[0] == table:
            yield key


def _relations(table: str, found: Snapshot) -> Iterator[Key]:
    """Yield the indexes of a table, and the sequences that count its columns."""
    for key, facts in found.objects.items():
        if (key[0] in ("index", "statistics") and facts.get("on") == table) or (
            key[0] == "sequence" and any(split(owner)[0] == table for owner in texts(facts, "owned_by"))
        ):
            yield key


def _free(name: str, taken: set[str]) -> str:
    """Return a name that nothing has, and note it."""
    number = 1
    while True:
        end = _END if number == 1 else f"{_END}_{number}"
        found = name.encode()[: _LONGEST - len(end)].decode(errors="ignore") + end
        if found not in taken:
            taken.add(found)
            return found
        number += 1
