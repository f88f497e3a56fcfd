"""A completion: what brings the rest of a migration to a schema that holds a part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import field, frozen

from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.text import counted, few

#: The acts whose notes name each object: nobody declares what they concern.
_NAMED_WHOLE = frozenset({"makes nullable", "takes away, as another hand's,", "takes back"})


@frozen(order=True)
class Conversion:
    """A column that gets another type."""

    #: The column, such as ``users.id``.
    column: str
    #: Its type now.
    before: str
    #: Its later type.
    after: str
    #: The expression of the later value; None where the server casts it in the time zone UTC.
    using: str | None
    #: The condition, in SQL, that convertible values fulfil; None if all values are convertible.
    fits: str | None = None
    #: The condition, in SQL, that truncated values fulfil; None if none is truncated.
    cuts: str | None = None
    #: The column whose ids become uuids here and wherever a key refers to them; None where values are no ids.
    ids_of: str | None = None

    @property
    def key(self) -> Key:
        """The kind and the name of the column."""
        return "column", self.column

    @property
    def value(self) -> str:
        """The expression of the later value, in a session of any time zone."""
        return self.using or f"timezone('UTC', {quoted(parts_of(self.column)[-1])})"

    def __str__(self) -> str:
        return f"column {self.column} from {self.before} to {self.after}"


@frozen(kw_only=True)
class Copy:
    """The rows of a table that was set aside, on their way into the declared table."""

    #: The declared table.
    table: str
    #: The table that was set aside.
    source: str
    #: The expression of each column's value, by the column's name alone.
    values: Mapping[str, str]
    #: The condition that convertible values fulfil, by the column's name as SQL; a column without one takes all.
    fits: Mapping[str, str] = field(factory=dict)
    #: The columns that hold no value that could be copied, each with the reason.
    without: Mapping[str, str] = field(factory=dict)
    #: The columns that are counted by a sequence, by their name alone.
    counted: tuple[str, ...] = ()
    #: Whether the rows are in partitions of the table that was set aside.
    is_partitioned: bool = False


@frozen(kw_only=True)
class Batches:
    """The rows of a large table that get values of columns: a batch at a time, each in a transaction of its own."""

    #: The table, as SQL.
    table: str
    #: The columns of its primary key with their types, as SQL: by them the rows are taken in order.
    key: tuple[tuple[str, str], ...]
    #: The columns that are set, with the expressions of their values, as SQL.
    values: tuple[tuple[str, str], ...]
    #: The statements that disable the triggers of the table.
    holding: tuple[str, ...] = ()
    #: The statements that enable them again.
    releasing: tuple[str, ...] = ()

    @property
    def assigned(self) -> str:
        """The assignments, as SQL."""
        return ", ".join(f"{column} = ({value})" for column, value in self.values)

    @property
    def differs(self) -> str:
        """The condition of the rows in which they change something, as SQL."""
        columns = ", ".join(column for column, _ in self.values)
        values = ", ".join(f"({value})" for _, value in self.values)
        return f"ROW ({columns}) IS DISTINCT FROM ROW ({values})"

    def __str__(self) -> str:
        return f"UPDATE {self.table} SET {self.assigned} WHERE {self.differs}"


@frozen(kw_only=True)
class Completion:
    """The statements that bring the rest of a migration, in place of its script or, for a repair, before it."""

    #: The statements, in order, for a search_path with the target schema first.
    statements: tuple[str, ...] = field(default=(), repr=False)
    #: The statements that run before these, outside of a transaction, in order: those that would block others on a large table.
    online: tuple[str | Batches, ...] = field(default=(), repr=False)
    #: The objects that are made.
    made: tuple[DatabaseObject, ...] = ()
    #: The objects that get their declared form.
    changed: tuple[DatabaseObject, ...] = ()
    #: The objects that get another name, each with its old name in front.
    renamed: tuple[tuple[str, DatabaseObject], ...] = ()
    #: The columns that get another type.
    converted: tuple[Conversion, ...] = ()
    #: The columns of which a conversion cuts something: each with the column that keeps the whole values, and their number.
    kept: tuple[tuple[str, str, int], ...] = ()
    #: The tables that are set aside, each with what is copied of its rows.
    set_aside: tuple[Copy, ...] = ()
    #: The statements after the copies.
    afterwards: tuple[str, ...] = field(default=(), repr=False)
    #: The tables that keep the rest from being reached, and may be set aside.
    could_set_aside: tuple[str, ...] = ()
    #: The columns that are made nullable: they are not declared NOT NULL, and nothing gives them a value.
    made_nullable: tuple[str, ...] = ()
    #: The objects of another hand that are dropped: they open what a closed catalog declares, or are in its way.
    taken_away: tuple[DatabaseObject, ...] = ()
    #: The privileges that are taken back: the catalog is closed, and does not declare them. A policy loses roles.
    revoked: tuple[DatabaseObject, ...] = ()
    #: The columns in which rows that were there before get a value, each as ``table.column``.
    filled: tuple[str, ...] = ()
    #: The columns that keep the default from before, though another one or none is declared.
    kept_defaults: tuple[str, ...] = ()
    #: The objects that stay as they were before, though declared otherwise, each with the reason.
    left: Mapping[Key, str] = field(factory=dict)
    #: The facts of those of them that are columns or constraints, which history records: that is no drift later.
    left_forms: Mapping[Key, Facts] = field(factory=dict, repr=False)
    #: The statements of the script that make no object, and are not run: each with its place.
    not_run: tuple[str, ...] = ()
    #: Whether the script runs afterwards: of its own objects none is there.
    runs_script: bool = False
    #: The objects that cannot be reached, each in one line with the place of its statement.
    conflicts: tuple[str, ...] = ()
    #: The objects that history will hold as those of the migration, and that the proof does not look up.
    unproven: frozenset[Key] = frozenset()
    #: The constraints and indexes whose rows could not be looked at, each with the reason.
    undecided: Mapping[str, str] = field(factory=dict)
    #: The reason why rows were not looked at, or None: then ``migrate()`` decides which columns become NOT NULL.
    unread: str | None = None
    #: The objects of the schema after it.
    after: Snapshot = field(default=Snapshot({}), eq=False, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether all of the migration is there: nothing is written, and no script runs."""
        return not self.statements and not self.online and not self.runs_script and not self.conflicts

    @property
    def sql_lines(self) -> Iterator[str]:
        """Its statements, to be read: the copies of rows are said in words."""
        if self.online:
            yield "-- First, outside of a transaction:"
            yield from (f"{each};" for each in self.online)
            yield "-- Then:"
        yield from (f"{each};" for each in self.statements)
        yield from (f"-- The rows of {each.source} that fit are copied into {each.table}." for each in self.set_aside)
        yield from (f"{each};" for each in self.afterwards)
        if self.is_empty:
            yield "-- All of it is there: history records it."

    @property
    def acts(self) -> dict[str, list[str]]:
        """Each act with the names of the objects on which it acts; acts on nothing are left out."""
        acts = {
            "makes": map(str, self.made),
            "converts": map(str, self.converted),
            "gives the declared form to": map(str, self.changed),
            "renames": (f"{each.kind} {old} to {each.name}" for old, each in self.renamed),
            "makes nullable": (f"column {each}" for each in self.made_nullable),
            "takes away, as another hand's,": map(str, self.taken_away),
            "takes back": map(str, self.revoked),
        }
        return {act: named for act, those in acts.items() if (named := list(those))}

    @property
    def notes(self) -> Iterator[str]:
        """Its acts, a line each."""
        yield from self._of_tables_set_aside()
        for act, those in self.acts.items():
            yield f"{act} {', '.join(those) if act in _NAMED_WHOLE else few(those)}"
            if act == "converts":
                yield from self._of_conversions()
        yield from self._ways

    @property
    def _ways(self) -> Iterator[str]:
        """The way in which it is done, and the parts that are left."""
        if self.filled:
            yield f"fills {few(list(self.filled))} in rows that are there"
        if self.left:
            yield f"leaves {few([f'{kind} {name}: {why}' for (kind, name), why in self.left.items()])}"
        if self.kept_defaults:
            yield f"keeps the default of {few([f'column {each}' for each in self.kept_defaults])}"
        if self.online:
            yield f"does {counted(self.online, 'statement')} of it first, outside of a transaction: large tables hold rows"
        if self.unread:
            yield f"which columns become NOT NULL is decided when it runs: {self.unread}"
        yield from undecided(self.undecided)
        if self.not_run:
            yield f"does not run {few(list(self.not_run))}"

    def _of_tables_set_aside(self) -> Iterator[str]:
        for each in self.set_aside:
            yield f"sets table {each.table} aside as {each.source}, and copies the rows that fit"
            for column, why in each.without.items():
                yield f"copies no value of {each.table}.{column}: {why}"
        if self.could_set_aside:
            names = ", ".join(self.could_set_aside)
            yield f"may be set aside with their rows, if you say so (set_aside, --set-aside): {names}"

    def _of_conversions(self) -> Iterator[str]:
        """Yield what conversions keep of the values before them."""
        for column, keeps, number in self.kept:
            yield f"keeps in {keeps} what this cuts off {column}: {counted(range(number), 'row')}"
        if mapped := [each.column for each in self.converted if each.ids_of == each.column]:
            yield f"keeps the ids from before in migration_ids: {few(mapped)}"


def undecided(reasons: Mapping[str, str]) -> Iterator[str]:
    """Yield what is decided only when a migration runs, a line for each reason.

    Args:
        reasons: The constraints and indexes whose rows could not be looked at, each with the reason.
    """
    for why in dict.fromkeys(reasons.values()):
        those = [each for each, reason in reasons.items() if reason == why]
        yield f"whether rows break {few(those)} is decided when it runs: {why}"
