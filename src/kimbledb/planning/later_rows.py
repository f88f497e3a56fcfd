"""The rows of tables as they will be, as queries of the tables that are there now. Pure.

A completion renames tables and columns, converts columns, adds columns and fills them, before it makes the constraints.
The rows are asked before all of that: a query reads each table under its present name, and gives its columns the values
that they will have. Steps follow each other, also those of several migrations.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping

from attrs import evolve, field, frozen

from kimbledb.model.names import split_list, words_in
from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.fold import split, under_new_names
from kimbledb.planning.writer.names import identifier, own_name, texts, written

#: The value of a column that is NULL in every row, before its type.
_NULL = "NULL::"
#: Columns that every table has, and that tell its rows apart.
ROW = ("tableoid", "ctid")
#: In a default: each row gets a value of its own from a sequence. To ask for it would move the sequence.
_OF_SEQUENCE = "nextval("
_NUMBERED = "row_number() OVER ()"
#: The columns of a primary key, the last of which may be of ranges that do not overlap.
_PRIMARY = re.compile(r'PRIMARY KEY \(((?:"(?:[^"]|"")*"|[^")])*)\)')
_IDENTIFIER = re.compile(r'"((?:[^"]|"")*)"|([^\s",()]+)')


@frozen
class _Layer:
    """Values of columns over the rows below it."""

    #: The name of the table at this time.
    table: str
    #: The expressions, by the column's own name; None where the value cannot be foreseen.
    values: Mapping[str, str | None]
    #: The columns below, by their own names.
    below: frozenset[str]
    #: The condition of the rows that are left; None where all are.
    where: str | None = None
    #: The columns that the condition reads, by their own names.
    reads: tuple[str, ...] = ()


@frozen
class TableRows:
    """The rows of one table."""

    #: The table, under its later name.
    table: str
    #: The present table as SQL, with ONLY where others inherit from it; None for one that will be made, without rows.
    present: str | None
    #: Its later columns, by their own names; None where they are not known.
    columns: frozenset[str] | None
    #: Those of them that are its primary key, each with its present name.
    key: Mapping[str, str] = field(factory=dict)
    #: The names under which those of them that get other values can be read as they stand now.
    carried: Mapping[str, str] = field(factory=dict)
    #: The collations of its later columns that do not have that of their type.
    collations: Mapping[str, str] = field(factory=dict)
    layers: tuple[_Layer, ...] = ()
    #: Whether it is known which rows it will have.
    is_known: bool = True

    def with_values(self, values: Mapping[str, str | None]) -> TableRows:
        """Return the rows after columns got values.

        Args:
            values: The expressions over the rows before, by the column's own name; None where it cannot be foreseen.
        """
        if not values or self.columns is None:
            return self
        layer = _Layer(self.table, values, self.columns)
        kept = {column: each for column, each in self.collations.items() if column not in values}
        return evolve(self, columns=self.columns | values.keys(), collations=kept, layers=(*self.layers, layer))

    def with_those(self, condition: str, reads: Iterable[str]) -> TableRows:
        """Return the rows of which a condition holds.

        Args:
            condition: The condition.
            reads: The columns that it reads, by their own names.
        """
        if self.columns is None:
            return self
        return evolve(self, layers=(*self.layers, _Layer(self.table, {}, self.columns, condition, tuple(reads))))

    @property
    def are_some(self) -> bool:
        """Whether some of the rows that are there may be left out."""
        return any(layer.where is not None for layer in self.layers)

    def with_present_key(self) -> TableRows:
        """Return the rows with ``carried``: by the key as it stands now a person finds a row, whatever it will be."""
        given = {column for layer in self.layers for column in layer.values}
        taken = given | (self.columns or set())
        carried: dict[str, str] = {}
        for column in (each for each in self.key if each in given):
            carried[column] = _free(self.key[column], taken | set(carried.values()))
        if not carried:
            return self
        first, *others = self.layers
        values = {**first.values, **{name: identifier(self.key[column]) for column, name in carried.items()}}
        return evolve(self, carried=carried, layers=(evolve(first, values=values), *others))

    def is_null(self, column: str) -> bool:
        """Return whether a column is NULL in every row: it is added, and nothing gives it a value.

        Args:
            column: The column's own name.
        """
        last = next((layer.values[column] for layer in reversed(self.layers) if column in layer.values), None)
        return last is not None and last.startswith(_NULL)

    def source(self, columns: Iterable[str], *, alias: str | None = None, only: bool = False) -> str | None:
        """Return what stands after FROM, or None where a value cannot be foreseen.

        Args:
            columns: The columns that are read, by their own names, and ``ROW``.
            alias: The name by which the query calls the rows, where it is not that of the table.
            only: Whether rows of tables that inherit from this one do not count.
        """
        if self.present is None or not self.is_known:
            return None
        return self._from(len(self.layers), list(dict.fromkeys(columns)), alias or own_name(self.table), only=only)

    def _from(self, height: int, columns: list[str], alias: str, *, only: bool) -> str | None:
        """Return the rows after the first layers, as a FROM item with this name."""
        present = str(self.present)
        if not height:
            shown = "" if own_name(present) == alias else f" AS {alias}"
            return f"{'ONLY ' if only else ''}{written(present)}{shown}"
        layer = self.layers[height - 1]
        if layer.where is None and layer.values.keys().isdisjoint(columns):
            return self._from(height - 1, columns, alias, only=only)
        values = {column: layer.values.get(column, identifier(column)) for column in columns}
        if None in values.values():
            return None
        known = layer.below.union(ROW)
        below = dict.fromkeys(
            other
            for column, value in values.items()
            for other in (sorted(words_in(str(value)) & known) if column in layer.values else (column,))
        )
        below.update(dict.fromkeys(layer.reads))
        text = self._from(height - 1, list(below), own_name(layer.table), only=only)
        shown = ", ".join(
            str(value) if value == identifier(column) else f"{value} AS {identifier(column)}"
            for column, value in values.items()
        )
        where = "" if layer.where is None else f" WHERE {layer.where}"
        return None if text is None else f"(SELECT {shown} FROM {text}{where}) AS {alias}"


@frozen
class LaterRows:
    """The rows of the tables of a schema."""

    #: The tables, by their later names.
    tables: Mapping[str, TableRows]
    #: The tables from which others inherit, by their later names: those are no partitions.
    parents: frozenset[str] = frozenset()
    #: The defaults of domains, which a new column has where it has none of its own.
    domains: Mapping[str, str] = field(factory=dict)
    #: The last names of functions that are made or changed meanwhile: what they give cannot be asked before.
    functions: frozenset[str] = frozenset()
    #: Whether it is known which rows other tables will have.
    is_known: bool = True

    @classmethod
    def of(cls, found: Snapshot) -> LaterRows:
        """Return the rows as they are.

        Args:
            found: The objects of the schema.
        """
        columns: dict[str, set[str]] = {name: set() for kind, name in found.objects if kind == "table"}
        for kind, name in found.objects:
            if kind == "column" and (table := split(name)[0]) in columns:
                columns[table].add(parts_of(name)[-1])
        parents = {
            parent
            for (kind, _), facts in found.objects.items()
            if kind == "table"
            for parent in texts(facts, "inherits")
        }
        keys = {
            split(name)[0]: key
            for (kind, name), facts in found.objects.items()
            if kind == "constraint" and (key := primary_key_of(facts))
        }
        collations: dict[str, dict[str, str]] = {}
        for (kind, name), facts in found.objects.items():
            if kind == "column" and "collation" in facts:
                collations.setdefault(split(name)[0], {})[parts_of(name)[-1]] = str(facts["collation"])
        tables = {
            name: TableRows(
                name,
                name,
                frozenset(each),
                {own: own for own in keys.get(name, ())},
                collations=collations.get(name, {}),
            )
            for name, each in columns.items()
        }
        domains = {
            name: str(facts["default"])
            for (kind, name), facts in found.objects.items()
            if kind == "type" and "default" in facts
        }
        return cls(tables, frozenset(parents), domains)

    def of_table(self, table: str) -> TableRows:
        """Return the rows of a table; of one that is not looked at, such as one of another schema, under its own name.

        Args:
            table: The later name.
        """
        return self.tables.get(table) or TableRows(table, table, None, is_known=self.is_known)

    def renamed(self, renames: Mapping[Key, str]) -> LaterRows:
        """Return the rows after tables and columns got other names.

        Args:
            renames: The new name of each renamed object, by its old kind and name.
        """
        if not any(kind in ("table", "column") for kind, _ in renames):
            return self
        tables = {}
        for each in self.tables.values():
            table = under_new_names(DatabaseObject("table", each.table), renames).name
            names = {
                old: new
                for old in each.columns or ()
                if (new := under_new_names(DatabaseObject("column", f"{each.table}.{quoted(old)}"), renames).parts[-1])
                != old
            }
            key = {names.get(column, column): now for column, now in each.key.items()}
            later = evolve(each, table=table, key=key).with_values({new: identifier(old) for old, new in names.items()})
            gone = names.keys() - set(names.values())
            tables[table] = evolve(later, columns=None if later.columns is None else later.columns - gone)
        parents = frozenset(under_new_names(DatabaseObject("table", each), renames).name for each in self.parents)
        return evolve(self, tables=tables, parents=parents)

    def with_values(self, values: Mapping[str, str | None]) -> LaterRows:
        """Return the rows after columns got values.

        Args:
            values: The expressions over the rows before, by column, such as ``orders.paid``; None where the value cannot
                be foreseen.
        """
        by_table: dict[str, dict[str, str | None]] = {}
        for column, value in values.items():
            foreseen = None if value is None or self.calls_later(value) else value
            by_table.setdefault(split(column)[0], {})[parts_of(column)[-1]] = foreseen
        changed = {
            table: self.tables[table].with_values(each) for table, each in by_table.items() if table in self.tables
        }
        return evolve(self, tables={**self.tables, **changed})

    def with_those(self, table: str, condition: str, reads: Iterable[str]) -> LaterRows:
        """Return the rows without those of one table of which a condition does not hold.

        Args:
            table: The table, by its later name.
            condition: The condition.
            reads: The columns that it reads, by their own names.
        """
        return evolve(self, tables={**self.tables, table: self.of_table(table).with_those(condition, reads)})

    def with_columns(self, columns: Mapping[str, Facts]) -> LaterRows:
        """Return the rows after columns were added to tables: each holds its default, its expression, or NULL.

        Args:
            columns: The facts of the columns, by name.
        """
        generated = {
            name: _typed(str(facts["generated"]), facts) for name, facts in columns.items() if "generated" in facts
        }
        given = {
            name: _first_value(facts, self.domains.get(str(facts["type"]), ""))
            for name, facts in columns.items()
            if name not in generated
        }
        return self.with_values(given).with_values(generated)

    def with_functions(self, functions: Iterable[str]) -> LaterRows:
        """Return the rows for which functions are made or changed.

        Args:
            functions: Their names.
        """
        return evolve(self, functions=self.functions | {parts_of(name)[-1] for name in functions})

    def calls_later(self, expression: str) -> bool:
        """Return whether an expression may call what is made or changed only then.

        Args:
            expression: The expression.
        """
        return bool(self.functions) and not self.functions.isdisjoint(words_in(expression))

    def unknown(self, tables: Collection[str] | None = None) -> LaterRows:
        """Return the rows after something that cannot be foreseen happened to them.

        Args:
            tables: The tables to which it may have happened; None for all.
        """
        touched = self.tables if tables is None else tables
        after = {name: evolve(each, is_known=False) if name in touched else each for name, each in self.tables.items()}
        return evolve(self, tables=after, is_known=self.is_known and tables is not None)

    def with_rows(self, copied: LaterRows, tables: Iterable[str]) -> LaterRows:
        """Return the rows after those of some tables were copied into tables of the same names, which were made for them.

        Args:
            copied: The rows that are copied.
            tables: The names.
        """
        later = {
            name: evolve(
                copied.of_table(name), is_known=copied.of_table(name).is_known and self.of_table(name).is_known
            )
            for name in tables
        }
        return evolve(self, tables={**self.tables, **later})

    def with_tables(self, tables: Collection[str]) -> LaterRows:
        """Return the rows after tables were made, which hold none.

        Args:
            tables: The names.
        """
        made = {name: TableRows(name, None, None) for name in tables}
        return evolve(self, tables={**self.tables, **made})


def primary_key_of(facts: Facts) -> tuple[str, ...]:
    """Return the own names of the columns of a primary key; none for another constraint.

    Args:
        facts: The facts of a constraint.
    """
    key = str(facts.get("key", ""))
    found = _PRIMARY.match(key)
    return tuple(names_in(each)[0] for each in split_list(found[1])) if found else ()


def names_in(columns: str) -> tuple[str, ...]:
    """Return the own names in a list of columns, such as ``id, "Name"``.

    Args:
        columns: The list, as the server prints it.
    """
    return tuple(one.replace('""', '"') or other for one, other in _IDENTIFIER.findall(columns))


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name like this one that is not taken."""
    ends = itertools.chain(["", "_now"], (f"_now_{number}" for number in itertools.count(2)))
    return next(each for end in ends if (each := name + end) not in taken)


def _first_value(facts: Facts, of_domain: str) -> str:
    """Return the value that the rows of a table get with a column, whose type may be a domain with a default."""
    default = str(facts.get("default", of_domain))
    if "identity" in facts or _OF_SEQUENCE in default:
        return _typed(_NUMBERED, facts)
    return _typed(default, facts) if default else f"{_NULL}{facts['type']}"


def _typed(expression: str, facts: Facts) -> str:
    return f"({expression})::{facts['type']}"
