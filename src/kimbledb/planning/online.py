"""The online strategy that follows from declarations: what is built beside a large table, before the transaction. Pure.

A completion says which objects a schema lacks. Those of them that would hold up readers or writers of a large table, and
that PostgreSQL can make without that, are made first, a statement at a time: indexes CONCURRENTLY, checks and foreign keys
NOT VALID and then validated, NOT NULL by a validated check, unique keys by an index that was built concurrently. An index of
another form is built anew under another name, and takes the place of the old one in a short transaction. The completion then
looks again, and finds them there.

Live writers do not know of the migration yet. A rule is enforced for them as soon as it is added: a rule on columns that a
new trigger looks after has to wait for the trigger, and stays in the transaction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import define, evolve, field, frozen

from kimbledb.model.completion import Batches, Completion
from kimbledb.model.names import split_list, words_in
from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted, without
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning import writer
from kimbledb.planning.comparison import compare
from kimbledb.planning.completion import Rows, Unfinished
from kimbledb.planning.fills import batches, by_table
from kimbledb.planning.fold import split
from kimbledb.planning.ids import FOREIGN_KEY
from kimbledb.planning.mentions import mentioned
from kimbledb.planning.writer.constraints import definition, is_reference, refers_to
from kimbledb.planning.writer.names import own_name, texts, written

#: The bytes of the longest identifier.
_LONGEST = 63
_BESIDE = "_kimbledb_new"
_AND = " AND "
#: The check by which columns of a table become NOT NULL.
_NOT_NULL = "kimbledb_not_null"
#: A default that differs from row to row is written into each of them.
_VOLATILE = re.compile(r"random|uuid|clock_timestamp|nextval|timeofday", re.IGNORECASE)
_UNIQUE = re.compile(
    r"(?P<kind>PRIMARY KEY|UNIQUE)(?P<nulls> NULLS NOT DISTINCT)? \((?P<columns>[^()]*)\)"
    r"(?P<include> INCLUDE \([^()]*\))?(?P<when>(?: (?:NOT )?DEFERRABLE| INITIALLY (?:DEFERRED|IMMEDIATE))*)"
)
_ALTER = re.compile(r'(ALTER TABLE (?:"(?:[^"]|"")*"|[\w$]+)) (?:ADD|ALTER) (?:COLUMN|CONSTRAINT) ')
_CREATE_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX ")
#: The facts of an index that a statement changes; any other change makes another index.
_OF_STORAGE = frozenset({"options", "tablespace", "statistics"})
#: The facts that a plain table does not have.
_OTHER_TABLES = frozenset({"partition_by", "partition_of", "inherits", "foreign_server", "of_type", "kind"})


@frozen
class Stage:
    """The work that is done before the migration's transaction, outside of it."""

    #: The statements, and the fills of large tables, in order.
    steps: tuple[str | Batches, ...] = ()
    #: The schema after them.
    between: Snapshot = field(default=Snapshot({}), repr=False)

    def __bool__(self) -> bool:
        return bool(self.steps)


def foreseen(unfinished: Unfinished, rows: Rows, large: Collection[str]) -> Completion:
    """Return the completion of a migration with what is done ahead of its transaction.

    Args:
        unfinished: The migration beside the schema.
        rows: What the rows allow.
        large: The names of the large tables; none where nothing can be run outside of a transaction.
    """
    completion = unfinished.complete(rows)
    if not large or completion.conflicts:
        return completion
    stage = staged(unfinished, completion, large)
    if not stage:
        return completion
    rest = evolve(unfinished, scope=evolve(unfinished.scope, found=stage.between)).complete(rows)
    return evolve(completion, online=stage.steps, statements=rest.statements)


def staged(unfinished: Unfinished, completion: Completion, large: Collection[str]) -> Stage:
    """Return what of a completion is done ahead of its transaction.

    Args:
        unfinished: The migration beside the schema.
        completion: The completion.
        large: The names of the large tables.
    """
    if completion.set_aside or any(each.kind not in ("index", "constraint") for _, each in completion.renamed):
        return Stage()  # statements would need the earlier names
    return _Staging(unfinished, completion, frozenset(large)).stage()


def beside(name: str) -> str:
    """Return the name under which an index is built while another one has its name.

    Args:
        name: The name of the index.
    """
    own = parts_of(name)[-1]
    if len((own + _BESIDE).encode()) > _LONGEST:
        own = hashlib.sha256(own.encode()).hexdigest()[:32]
    return quoted(own + _BESIDE)


def left_over(found: Snapshot, completion: Completion) -> list[str]:
    """Return the statements that drop what an interrupted stage has left, and what a transaction makes otherwise.

    Args:
        found: The objects of the schema.
        completion: What the transaction does.
    """
    drops = []
    made = {_index_of(each.key): each for each in completion.made if each.kind == "constraint"}
    for key, facts in found.objects.items():
        kind, name = key
        unique = _unique(made[key].facts or {}) if key in made else None
        is_of_key = unique is not None and _may_use(facts, split(made[key].name)[0], unique)
        if kind == "index" and (beside_of(name, found) or is_of_key):
            drops.append(f"DROP INDEX {written(name)}")
        elif kind == "constraint" and parts_of(name)[-1] == _NOT_NULL:
            drops.append(writer.drop(DatabaseObject(kind, name)))
    return drops


def beside_of(name: str, found: Snapshot) -> str | None:
    """Return the index in whose place an index is built, or None if it is no such index.

    Args:
        name: The name of the index.
        found: The objects of the schema.
    """
    if not parts_of(name)[-1].endswith(_BESIDE):
        return None
    return next((other for kind, other in found.objects if kind == "index" and beside(other) == name), None)


# Without slots: mutable state of one derivation.
@define(slots=False, eq=False)
class _Staging:
    """Decides which objects of a completion are made ahead of its transaction."""

    unfinished: Unfinished
    completion: Completion
    large: frozenset[str]
    #: The objects that are made or changed, each with the facts that it then has.
    picked: dict[Key, Facts] = field(factory=dict)
    _refused: set[Key] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.found = self.unfinished.scope.found
        self.after = self.completion.after
        self.renamed = {each.key for _, each in self.completion.renamed}
        converted = {split(each.column)[0] for each in self.completion.converted}
        #: The large tables whose columns keep their types: a change of type builds every index of its table again.
        self.tables = [
            each
            for each in sorted(self.large - converted)
            if (facts := self.found.objects.get(("table", each))) is not None and not _OTHER_TABLES & facts.keys()
        ]
        fills = {
            column: value
            for column, value in self.unfinished.scope.migration.fills.items()
            if column in self.completion.filled and split(column)[0] in self.tables
        }
        self.fills = by_table(fills)
        self.watched = {table: frozenset(self._words_of_triggers(table)) for table in self.tables}

    # Rows that triggers will maintain.

    def _words_of_triggers(self, table: str) -> Iterator[str]:
        """Yield the words of the triggers that a table gets later, and of their functions."""
        for each in (*self.completion.made, *self.completion.changed):
            if each.kind == "trigger" and split(each.name)[0] == table and not self._picks_trigger(each.key):
                yield from mentioned(each)
                for need in self.after.needs.get(each.key, ()):
                    if need[0] == "function" and need in self.after.objects:
                        yield from words_in(self.after.sources.get(need, ""))

    def _is_looked_after(self, table: str, rule: str) -> bool:
        """Return whether a trigger will look after a column of a rule. Nobody writes a column yet that is not there."""
        words = words_in(rule) & self.watched[table]
        return any(("column", f"{table}.{quoted(word)}") in self.found.objects for word in words)

    # Objects that are made ahead.

    def stage(self) -> Stage:
        """Return the stage."""
        indexes = [key for key in self._differing("index") if self._picks_index(key)]
        filled = {table: fills for table, fills in self.fills.items() if self._picks_fills(fills)}
        constraints = [key for key in self._differing("constraint") if self._picks_constraint(key)]
        not_null = [key for key in self._differing("column") if self._picks_not_null(key, filled)]
        if self.picked:
            for key in self._differing("column"):
                self._has(key)  # in the transaction it would be added under the same lock, and for longer
        new = {key for key in self.picked if key[0] == "table"}
        tables = [key for key in self.picked if key in new or ("table", split(key[1])[0]) in new]
        others = [
            key for key in self.picked if key[0] in ("column", "function", "trigger") and key not in self.found.objects
        ]
        steps: list[str | Batches] = [*self._cleared()]
        if new:
            # At once, so that nobody reaches a table that is still open.
            steps.append(_block(self._made(tables)))
        steps += _joined(self._made([*tables, *others], after=tables))
        steps += [each for table, fills in filled.items() for each in self._filled(table, fills)]
        for table in self.tables:
            steps += self._ruled(
                table,
                [key for key in constraints if split(key[1])[0] == table],
                [key for key in not_null if split(key[1])[0] == table],
            )
        steps += self._indexed(indexes, [key for key in constraints if _unique(self.picked[key])])
        return Stage(tuple(steps), self._between(self.picked)) if self.picked else Stage()

    def _between(self, picked: Mapping[Key, Facts]) -> Snapshot:
        # In the order in which they are declared.
        objects = {**self.found.objects, **{key: picked[key] for key in self.after.objects if key in picked}}
        needs = {**self.found.needs, **{key: self.after.needs.get(key, ()) for key in picked}}
        sources = {
            **self.found.sources,
            **{key: self.after.sources[key] for key in picked if key in self.after.sources},
        }
        return evolve(self.found, objects=objects, needs=needs, sources=sources)

    def _differing(self, kind: str) -> Iterator[Key]:
        """Yield the objects of a kind on large tables that are missing or have another form."""
        for key, facts in self.after.objects.items():
            if key[0] != kind or key in self.renamed or self.found.objects.get(key) == facts:
                continue
            table = str(facts.get("on")) if kind == "index" else split(key[1])[0]
            if table in self.tables:
                yield key

    def _has(self, key: Key) -> bool:
        """Return whether an object is there by then in its later form, picking it where that can be."""
        if key in self.picked:
            return True
        there, facts = self.found.objects.get(key), self.after.objects.get(key)
        if there is not None:
            if key[0] == "column":
                return facts is not None and there.get("type") == facts.get("type")
            return key[0] == "table" or there == facts
        if key in self._refused or facts is None or key in self.renamed:
            return False
        self._refused.add(key)  # what needs itself is not picked
        if (
            (key[0] == "column" and self._picks_column(key, facts))
            or (key[0] == "function" and "sql_body" not in facts and self._has_named(key) and self._has_needs(key))
            or (key[0] == "table" and self._picks_table(key, facts))
        ):
            self._refused.discard(key)
            return True
        return False

    def _has_needs(self, key: Key) -> bool:
        if not all(self._has(need) for need in self.after.needs.get(key, ())):
            return False
        self.picked.setdefault(key, self.after.objects[key])
        return True

    def _has_named(self, function: Key) -> bool:
        """Return whether all is there by then that the body of a function names."""
        words = words_in(self.after.sources.get(function, ""))
        return all(
            self._has(each.key)
            for each in self.completion.made
            if each.key != function
            and each.kind in ("function", "table", "view", "type", "column")
            and parts_of(each.name.partition("(")[0])[-1] in words
            and (
                each.kind != "column"
                or split(each.name)[0] in self.tables
                or parts_of(split(each.name)[0])[-1] in words
            )
        )

    def _picks_trigger(self, key: Key) -> bool:
        """Pick a new trigger of a large table, so that live writers are served by it before rows are filled."""
        return key not in self.found.objects and key not in self.renamed and self._has_needs(key)

    def _picks_column(self, key: Key, facts: Facts) -> bool:
        """Pick a column that is added without a look at any row."""
        table = split(key[1])[0]
        default = str(facts.get("default", ""))
        if (
            table not in self.tables
            or {"generated", "identity", "inherited"} & facts.keys()
            or _VOLATILE.search(default)
            or not all(self._has(need) for need in self.after.needs.get(key, ()))
        ):
            return False
        self.picked[key] = facts if "default" in facts else without(facts, "not_null", "not_null_name")
        return True

    def _picks_table(self, key: Key, facts: Facts) -> bool:
        """Pick a new table with its columns and keys, to which a large table will refer."""
        own = [
            each for each in self.after.objects if each[0] in ("column", "constraint") and split(each[1])[0] == key[1]
        ]
        parts = [each for each in own if each[0] == "column" or _unique(self.after.objects[each])]
        inside = {key, *own}
        needs = {need for each in (key, *parts) for need in self.after.needs.get(each, ())} - inside
        if _OTHER_TABLES & facts.keys() or not all(self._has(need) for need in needs):
            return False
        self.picked |= {each: self.after.objects[each] for each in (key, *parts)}
        return True

    def _picks_index(self, key: Key) -> bool:
        facts, there = self.after.objects[key], self.found.objects.get(key, {})
        if {"partition_of", "invalid"} & facts.keys() or (
            there and not {fact for fact in {*facts, *there} - _OF_STORAGE if facts.get(fact) != there.get(fact)}
        ):
            return False
        if there and self._is_held(key):
            return False
        if facts.get("unique") and self._is_looked_after(str(facts["on"]), " ".join(texts(facts, "columns"))):
            return False
        return self._has_needs(key)

    def _is_held(self, index: Key) -> bool:
        """Return whether others need an index by its name, which goes with the old one."""
        own = parts_of(index[1])[-1]
        table = self.found.objects.get(("table", str(self.found.objects[index].get("on"))), {})
        marks = (str(table.get(mark, "")) for mark in ("clustered_on", "replica_identity"))
        return any(own in mark for mark in marks) or any(
            index in needs for key, needs in self.found.needs.items() if key[0] != "comment"
        )

    def _picks_fills(self, fills: Mapping[str, str]) -> bool:
        """Pick the columns of a table that are filled, and the functions that their expressions call."""
        if not all(self._has(("column", column)) for column in fills if ("column", column) in self.after.objects):
            return False
        words = words_in(" ".join(fills.values()))
        return all(
            self._has(each.key)
            for each in self.completion.made
            if each.kind in ("function", "column", "table", "view")
            and parts_of(each.name.partition("(")[0])[-1] in words
            and (each.kind != "column" or split(each.name)[0] == split(next(iter(fills)))[0])
        )

    def _picks_constraint(self, key: Key) -> bool:
        facts, there = self.after.objects[key], self.found.objects.get(key)
        table = split(key[1])[0]
        if {"inherited", "invalid", "not_enforced", "exclude"} & facts.keys() or facts.get("not_valid"):
            return False
        if there is not None and without(there, "not_valid") == facts:
            self.picked[key] = facts  # it is there, and only to be validated
            return True
        rule = str(facts.get("check") or facts.get("key"))
        if self._is_looked_after(table, rule.partition(" REFERENCES ")[0]):
            return False
        if is_reference(facts):
            if there is not None or not self._has_key(facts):
                return False
        elif "check" not in facts and (
            there is not None
            or not (unique := _unique(facts))
            or not _may_use(self.found.objects.get(_index_of(key)), table, unique)
            or {"options", "tablespace"} & facts.keys()
            or (unique["kind"] == "PRIMARY KEY" and not self._are_not_null(table, unique["columns"]))
        ):
            return False
        return self._has_needs(key)

    def _has_key(self, facts: Facts) -> bool:
        """Return whether the key that a foreign key refers to is there."""
        other = refers_to(facts)
        columns = FOREIGN_KEY.match(str(facts["key"]))
        if other is None or columns is None or not self._has(("table", other)):
            return False
        keys = (f"PRIMARY KEY ({columns['others']})", f"UNIQUE ({columns['others']})")
        return any(
            kind == "constraint" and split(name)[0] == other and str(there.get("key")).startswith(keys)
            for (kind, name), there in {**self.found.objects, **self.picked}.items()
        )

    def _are_not_null(self, table: str, columns: str) -> bool:
        return all(
            self.found.objects.get(("column", f"{table}.{each.strip()}"), {}).get("not_null")
            for each in columns.split(",")
        )

    def _picks_not_null(self, key: Key, filled: Mapping[str, Mapping[str, str]]) -> bool:
        facts, there = self.after.objects[key], self.found.objects.get(key)
        table, own = split(key[1])[0], parts_of(key[1])[-1]
        if there is None and key[1] in filled.get(table, ()) and own not in self.watched[table]:
            there = self.picked.get(key)
        if (
            there is None
            or not facts.get("not_null")
            or there.get("not_null")
            or facts.get("inherited")
            or there.get("type") != facts.get("type")
            # A value that a trigger will give is missing until then, unless there is a default.
            or ("default" not in there and self._is_looked_after(table, own))
        ):
            return False
        self.picked[key] = {**there, **{fact: facts[fact] for fact in ("not_null", "not_null_name") if fact in facts}}
        return True

    # The statements.

    def _cleared(self) -> Iterator[str]:
        """Yield the statements that drop what an interrupted stage has left, but the indexes that are used."""
        for kind, name in self.found.objects:
            if kind == "index" and (other := beside_of(name, self.found)) is not None and not self._is_built(other):
                yield f"DROP INDEX CONCURRENTLY {written(name)}"

    def _is_built(self, index: str) -> bool:
        """Return whether an index that takes the place of another one is complete."""
        built, wanted = self.found.objects.get(("index", beside(index))), self.picked.get(("index", index))
        if built is None or wanted is None or "invalid" in built:
            return False
        return not compare(wanted, built).differs

    def _made(self, keys: Collection[Key], after: Collection[Key] = ()) -> list[str]:
        """Return the statements that make objects; NOT NULL of columns that are filled comes later."""
        filled = {column for fills in self.fills.values() for column in fills}
        first = {
            key: without(facts, "not_null", "not_null_name") if key[1] in filled and "default" not in facts else facts
            for key, facts in self.picked.items()
        }
        before, to = (self._between({key: first[key] for key in those}) for those in (after, keys))
        return writer.difference(before, to, defaults_stay=True)

    def _filled(self, table: str, fills: Mapping[str, str]) -> Iterator[Batches]:
        there = {column: value for column, value in fills.items() if ("column", column) in self.after.objects}
        key = _key_of(table, self.found)
        if there and key:
            yield batches(table, there, {**self.found.objects, **self.picked}, key)

    def _ruled(self, table: str, constraints: Collection[Key], not_null: Collection[Key]) -> Iterator[str]:
        """Yield the statements that add rules of a table, and look at its rows while others write."""
        alter = f"ALTER TABLE {written(table)}"
        names: list[str] = []
        adding: list[str] = []
        for key in constraints:
            facts, there, own = self.picked[key], self.found.objects.get(key), own_name(key[1])
            if _unique(facts):
                continue
            names.append(own)
            if there is None or without(there, "not_valid") != facts:
                adding += [f"DROP CONSTRAINT {own}"] if there is not None else []
                adding.append(f"ADD CONSTRAINT {own} {definition({**facts, 'not_valid': True})}")
        rules = [f"{own_name(name)} IS NOT NULL" for _, name in not_null]
        there = self.found.objects.get(("constraint", f"{table}.{_NOT_NULL}"), {})
        if not set(rules) <= set(str(there.get("check", "")).split(_AND)):
            adding += [f"DROP CONSTRAINT {_NOT_NULL}"] if there else []
            adding.append(f"ADD CONSTRAINT {_NOT_NULL} CHECK ({_AND.join(rules)}) NOT VALID")
            names.append(_NOT_NULL)
        elif rules and there.get("not_valid"):
            names.append(_NOT_NULL)
        if adding:
            yield f"{alter} {', '.join(adding)}"
        if names:
            yield f"{alter} {', '.join(f'VALIDATE CONSTRAINT {each}' for each in names)}"
        if not_null:
            before = self._between({key: without(self.picked[key], "not_null", "not_null_name") for key in not_null})
            after = self._between({key: self.picked[key] for key in not_null})
            # The check proves it: no row is looked at again.
            yield from _joined(writer.difference(before, after, defaults_stay=True))
        if not_null or there:
            yield f"{alter} DROP CONSTRAINT {_NOT_NULL}"

    def _indexed(self, indexes: Collection[Key], keys: Collection[Key]) -> Iterator[str]:
        for key in keys:
            yield from self._keyed(key)
        for key in indexes:
            facts = self.picked[key]
            taken = key in self.found.objects
            name = beside(key[1]) if taken else key[1]
            if not (taken and self._is_built(key[1])):
                [create, *settings] = writer.create([DatabaseObject("index", name, facts)], beside=self.found.objects)
                yield _concurrently(create)
                yield from settings
            if taken:
                yield _replacing(key[1], name, [*self._comments(key)])

    def _comments(self, index: Key) -> Iterator[str]:
        comment = self.found.objects.get(("comment", f"index {index[1]}"))
        if comment is not None:
            yield from writer.create(
                [DatabaseObject("comment", f"index {index[1]}", comment)], beside=self.found.objects
            )

    def _keyed(self, key: Key) -> Iterator[str]:
        """Yield the statements that make a unique key of an index."""
        unique = _unique(self.picked[key])
        assert unique is not None
        table, own = written(split(key[1])[0]), own_name(key[1])
        index = f"{own} ON {table} ({unique['columns']}){unique['include'] or ''}{unique['nulls'] or ''}"
        yield f"CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS {index}"
        yield f"ALTER TABLE {table} ADD CONSTRAINT {own} {unique['kind']} USING INDEX {own}{unique['when']}"


def _joined(steps: Iterable[str]) -> Iterator[str]:
    """Yield statements, with those as one that change one table after each other: the table is locked once."""
    last = ""
    for step in steps:
        more, before = _ALTER.match(step), _ALTER.match(last)
        if more is not None and before is not None and more[1] == before[1]:
            last += f",{step[len(more[1]) :]}"
            continue
        if last:
            yield last
        last = step
    if last:
        yield last


def _unique(facts: Facts) -> re.Match[str] | None:
    """Return the parts of a primary key or a unique key; None for another constraint."""
    return _UNIQUE.fullmatch(str(facts.get("key", "")))


def _index_of(constraint: Key) -> Key:
    """Return the index that has the name of a constraint."""
    return "index", quoted(parts_of(constraint[1])[-1])


def _may_use(index: Facts | None, table: str, unique: re.Match[str]) -> bool:
    """Return whether an index is that of a unique key, or none is there."""
    return index is None or (
        index.get("on") == table
        and bool(index.get("unique"))
        and "where" not in index
        and texts(index, "columns") == tuple(split_list(unique["columns"]))
    )


def _concurrently(create: str) -> str:
    return _CREATE_INDEX.sub(lambda found: f"{found[0]}CONCURRENTLY IF NOT EXISTS ", create, count=1)


def _replacing(old: str, new: str, more: Iterable[str]) -> str:
    """Return the statement by which an index takes the place of another one: a block is one transaction."""
    steps = [f"DROP INDEX {written(old)}", f"ALTER INDEX {written(new)} RENAME TO {own_name(old)}", *more]
    return _block(steps)


def _block(steps: Iterable[str]) -> str:
    """Return statements as one, whose transaction holds all of them or none."""
    return f"DO $kimbledb$ BEGIN {'; '.join(steps)}; END $kimbledb$"


def _key_of(table: str, found: Snapshot) -> tuple[str, ...]:
    """Return the columns of a table's primary key as SQL; none if it has none."""
    for (kind, name), facts in found.objects.items():
        if kind == "constraint" and split(name)[0] == table:
            unique = _unique(facts)
            if unique is not None and unique["kind"] == "PRIMARY KEY":
                return tuple(each.strip() for each in unique["columns"].split(","))
    return ()
