"""The statements from one schema to another: first those that drop, then those that change and make. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve, frozen

from kimbledb.model.objects import DatabaseObject, Fact, Key, without
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.mentions import needs_among
from kimbledb.planning.writer import columns, grants, indexes, publications, tables
from kimbledb.planning.writer.drops import drops
from kimbledb.planning.writer.fates import Fates
from kimbledb.planning.writer.kinds import KINDS
from kimbledb.planning.writer.names import relation_of, texts, written
from kimbledb.planning.writer.order import arranged
from kimbledb.planning.writer.pieces import Piece, Rank, Surroundings, facts_of

#: The ranks of changes, by kind; those of other kinds come with the settings.
_RANKS = {
    "type": Rank.TYPE,
    "sequence": Rank.SEQUENCE,
    "column": Rank.COLUMN,
    "function": Rank.ROUTINE,
    "view": Rank.VIEW,
    "constraint": Rank.CHECK,
    "privilege": Rank.GRANT,
    "default privilege": Rank.DEFAULT_PRIVILEGE,
}
#: The facts of a table that tell what it is below.
_PLACE = ("partition_of", "bound", "inherits")


def difference(
    before: Snapshot, after: Snapshot, *, using: Mapping[Key, str] | None = None, defaults_stay: bool = False
) -> list[str]:
    """Return the statements that make one schema of another: drops, then changes and what is made, each in order.

    Tables and columns stay wherever a statement can keep them; what else must go in between is made again. All columns
    of a table that change their type do so in one statement. Publications are no objects of a schema: those with a list
    or a condition of columns let go of a table while columns of it change their type.

    Args:
        before: The schema as it is, with the objects that each object needs.
        after: The schema as it is to be, with these and with the statements that make functions, views and rules. Where
            it has no needs, an object that is as before has those of before, and those of the others are guessed by the
            names that they hold. A statement that it lacks is that of before.
        using: For columns that change their type, by kind and name, the expression that gives the later value of a row;
            a value is cast where there is none.
        defaults_stay: Whether new objects keep what default privileges give to roles beyond what ``after`` holds.

    Raises:
        ValueError: The statement that makes a function, a view or a rule is not known.
    """
    after = _known(before, after)
    fates = Fates(before, after, using or {})
    fates.decide()
    made = frozenset(key for key in after.objects if key not in before.objects or key in fates.gone)
    others = {
        key
        for key, facts in after.objects.items()
        if key[0] == "column" and key not in made and _as_left(key, fates).get("default") != facts.get("default")
    }
    around = Surroundings(after.objects, made, after.needs, fates.apart(), others)
    pieces = [piece for key in after.objects if key in made for piece in KINDS[key[0]].create(after.get(key), around)]
    retyped: dict[str, list[_Retyped]] = {}
    for key in after.objects:
        if key not in made:
            pieces += _changes(key, fates, around, retyped)
    for table, those in retyped.items():
        pieces += _with_other_types(table, those, around)
    if not defaults_stay:
        pieces += _not_by_default(fates, around)
    return publications.around(sorted(fates.with_other_types()), [*drops(fates), *arranged(pieces)])


def lost(before: Snapshot, after: Snapshot) -> list[Key]:
    """Return the tables, columns and sequences whose rows, values or position ``difference()`` gives up: it drops them.

    Columns and sequences that go with their table are left out, and so is what no data can be lost of: generated columns
    and those of views.

    Args:
        before: The schema as it is, with the objects that each object needs.
        after: The schema as it is to be.
    """
    fates = Fates(before, _known(before, after))
    fates.decide()
    return [key for key in before.objects if key in fates.gone and _holds_data(key, fates)]


def _holds_data(key: Key, fates: Fates) -> bool:
    kind, name = key
    if kind == "column":
        table = ("table", relation_of(name))
        return (
            table in fates.before.objects
            and table not in fates.gone
            and "generated" not in fates.before.objects[key]
            and fates.follows(key) not in fates.gone
        )
    if kind == "sequence":
        owner = fates.goes_with(key)
        return owner is None or owner not in fates.gone
    return kind == "table"


def _known(before: Snapshot, after: Snapshot) -> Snapshot:
    """Return a schema with the needs and the statements that it lacks: from the earlier one, or guessed by names."""
    same = {key for key, facts in after.objects.items() if before.objects.get(key) == facts}
    sources = {**{key: source for key, source in before.sources.items() if key in same}, **after.sources}
    if after.needs:
        return evolve(after, sources=sources)
    after = evolve(after, sources=sources)
    needs = needs_among((each for each in after if each.key not in same), after)
    return evolve(after, needs={**{key: those for key, those in before.needs.items() if key in same}, **needs})


@frozen
class _Retyped:
    """A column that changes its type with others of its table."""

    key: Key
    steps: list[str]
    #: The objects that are as they are to be after these steps.
    makes: tuple[Key, ...]
    needs: set[Key]


def _changes(key: Key, fates: Fates, around: Surroundings, retyped: dict[str, list[_Retyped]]) -> Iterator[Piece]:
    kind, name = key
    old, new = _as_left(key, fates), dict(fates.after.objects[key])
    after = fates.after.get(key)
    if kind == "table":
        yield from _moves(after, fates, around)
        for facts in (old, new):
            for fact in _PLACE:
                facts.pop(fact, None)
    if kind == "index" and (fates.is_moved(key) or "partition_of" not in old):
        new.pop("partition_of", None)
        yield from indexes.attachment(after, around)
    if old == new:
        return
    needs = {key, *around.needs_of(key)}
    if kind == "column" and not around.has("view", relation_of(name)):
        yield from _changed_column(old, after, fates, around, retyped)
        return
    steps = KINDS[kind].alter(DatabaseObject(kind, name, old), DatabaseObject(kind, name, new, after.source), around)
    assert steps is not None  # else it goes
    if kind == "table":
        needs |= {("index", each) for each in tables.marked(new)}
        needs |= {each.key for each in around.parts("constraint", name)}
    for owner in texts(new, "owned_by"):
        needs |= {("column", owner), ("table", relation_of(owner))}
    makes: tuple[Key, ...] = (key,) if kind in ("type", "function", "view", "constraint", "index", "privilege") else ()
    if kind == "view":
        makes = (key, *(each.key for each in around.parts("column", name)))
    yield from _in_sequence(list(steps), _RANKS.get(kind, Rank.SETTING), makes, needs)


def _in_sequence(steps: list[str], rank: Rank, makes: tuple[Key, ...], needs: set[Key]) -> Iterator[Piece]:
    """Yield statements that follow each other; the last of them makes the objects."""
    before: set[Key] = needs - {*makes}
    for place, step in enumerate(steps):
        last = place == len(steps) - 1
        mark = makes if last else ((f"step {place}", step),)
        yield Piece(step, rank, mark, before)
        before = before | {*mark}


def _as_left(key: Key, fates: Fates) -> dict[str, Fact]:
    """Return the facts of an object that stays, as the drops leave them, and the changes of the table above."""
    facts = _without_detours(key, fates)
    above = fates.follows(key)
    if above is None or above in fates.gone:
        return facts
    if key[0] == "constraint":
        return dict(fates.after.objects[key])
    return columns.as_followed(facts, _without_detours(above, fates), fates.after.objects[above])


def _without_detours(key: Key, fates: Fates) -> dict[str, Fact]:
    """Return the facts of an object that stays, as the drops leave them."""
    facts: dict[str, Fact] = dict(fates.before.objects[key])
    if key in fates.by_text:
        facts = without(facts, "default", "collation") | {"type": "text"}
    if key in fates.without_default:
        facts.pop("default", None)
    if key in fates.bare:
        facts = without(facts, "default", "checks")
    if key in fates.released:
        facts.pop("owned_by", None)
    if key[0] in ("table", "view"):
        for mark in ("clustered_on", "replica_identity"):
            index = str(facts.get(mark, "")).removeprefix("index ")
            constraint = ("constraint", f"{key[1]}.{index}")
            if mark in facts and (("index", index) in fates.gone or constraint in fates.gone):
                del facts[mark]
    if key[0] == "index" and fates.is_moved(key):
        facts.pop("partition_of", None)
    return facts


def _moves(table: DatabaseObject, fates: Fates, around: Surroundings) -> Iterator[Piece]:
    """Yield what puts a table below others: it is attached, or inherits."""
    new = facts_of(table)
    if "partition_of" in new and fates.is_placed(table.name):
        yield from tables.attachment(table, around)
    kept = fates.kept_parents(table.key)
    for parent in texts(new, "inherits"):
        if parent not in kept or ("table", parent) in fates.gone:
            own = (each.key for relation in (parent, table.name) for each in around.parts("column", relation))
            statement = f"ALTER TABLE {written(table.name)} INHERIT {written(parent)}"
            yield Piece(statement, Rank.PARTITION, needs={("table", parent), table.key, *own})


def _with_other_types(table: str, those: Iterable[_Retyped], around: Surroundings) -> Iterator[Piece]:
    """Yield the statement by which columns of a table change their types."""
    steps = {each.key: each.steps for each in those}
    makes = (_types_of(table), *(key for each in those for key in each.makes))
    needs = {need for each in those for need in each.needs}
    yield from _in_sequence(list(columns.together(steps, around)), Rank.COLUMN, makes, needs)


def _types_of(table: str) -> Key:
    """Return what a statement needs that comes after columns of a table have their later types."""
    return ("types", table)


def _changed_column(
    old: dict[str, Fact],
    column: DatabaseObject,
    fates: Fates,
    around: Surroundings,
    retyped: dict[str, list[_Retyped]],
) -> Iterator[Piece]:
    """Yield the changes of a column: of its type and the like, then of its default, which may need what needs the column."""
    new = dict(facts_of(column))
    above = fates.follows(column.key)
    own = _settle_names(old, new, column, fates, around)
    default = new.pop("default", None)
    if default is not None and old.get("default") == default and old.get("type") == new.get("type"):
        new["default"] = default
    # The tables below change with it, but for what is their own.
    along = [each.key for each in columns.below(column, around) if each.key in fates.gone or _is_done(each.key, fates)]
    needs = {("table", relation_of(column.name)), *([above] if above else [])}
    early = {need for need in around.needs_of(column.key) if need[0] in columns.OF_TYPE}
    first: list[str] = []
    if columns.type_of(old) != columns.type_of(new):
        first, old = columns.retyping(column, old, new, fates.expression(column.key))
    steps = KINDS["column"].alter(DatabaseObject(*column.key, old), DatabaseObject(*column.key, new), around)
    assert steps is not None  # else it goes
    rest = [*steps, *own]
    if first:
        makes = () if rest else (column.key, *along)
        table = relation_of(column.name)
        retyped.setdefault(table, []).append(_Retyped(column.key, first, makes, needs | early))
        needs = needs | {_types_of(table)}
    yield from _in_sequence(rest, Rank.COLUMN, (column.key, *along), needs | early)
    if default is not None and "default" not in new:
        needs = needs | {column.key} | around.needs_of(column.key)
        yield Piece(columns.altering(column, [f"SET DEFAULT {default}"], around), Rank.DEFAULT, needs=needs)


def _is_done(key: Key, fates: Fates) -> bool:
    """Return whether an inherited column is as it is to be once the column above has changed."""
    return key in fates.before.objects and _as_left(key, fates) == fates.after.objects.get(key)


def _settle_names(
    old: dict[str, Fact], new: dict[str, Fact], column: DatabaseObject, fates: Fates, around: Surroundings
) -> list[str]:
    """Leave the names of NOT NULL in the facts of a column only where they change; return what makes it a table's own.

    Without a fact the name depends on the tables above, which may be others. Before version 18 there are no names.
    """
    if not (old.get("not_null") and new.get("not_null")):
        return []
    before, above = fates.before.get(column.key), fates.follows(column.key)
    follows = above is not None and not facts_of(before).get("not_null")
    was = (
        columns.not_null_name(fates.after.get(above), around)
        if above and follows
        else columns.not_null_name(before, fates.old)
    )
    name = columns.not_null_name(column, around)
    known = "not_null_name" in old or "not_null_name" in new
    own = columns.has_own_not_null(column) and not columns.has_own_not_null(before) and above is not None
    for facts, each in ((old, was), (new, name)):
        facts.pop("not_null_name", None)
        if known and was != name:
            facts["not_null_name"] = each
    return [columns.altering(column, ["SET NOT NULL"], around)] if own and was == name else []


# Default privileges of the role that makes the objects.


def _not_by_default(fates: Fates, around: Surroundings) -> Iterator[Piece]:
    """Yield what takes from new objects the default privileges that they are not to have."""
    defaults = {
        key: facts
        for key, facts in fates.before.objects.items()
        if key[0] == "default privilege" and key not in fates.gone
    } | grants.of_all_schemas(fates.before.given)
    for key in sorted(around.made) if defaults else ():
        yield from grants.not_by_default(key, defaults, around)
