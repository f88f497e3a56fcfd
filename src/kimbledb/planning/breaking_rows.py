"""Breaking rows: the queries that list the rows which what is declared would refuse. Pure.

A key, a uniqueness, a check or an exclusion that is added to a table is proven by its rows, and the statement fails where
one breaks it. Each query finds these rows before anything is touched, over the rows as they will be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import frozen

from kimbledb.model.names import split_list, words_of
from kimbledb.model.objects import DatabaseObject, Facts, Key, parts_of, quoted
from kimbledb.model.text import counted
from kimbledb.planning.fold import relation_of, split
from kimbledb.planning.later_rows import ROW, LaterRows, TableRows, names_in
from kimbledb.planning.writer.names import identifier, own_name, texts, written

#: A list of names, some in quotes.
_LIST = r'(?:"(?:[^"]|"")*"|[^")])*'
#: The parts of a foreign key.
_FOREIGN_KEY = re.compile(
    rf"FOREIGN KEY \((?P<own>{_LIST})\) REFERENCES (?P<table>(?:\"(?:[^\"]|\"\")*\"|[^\s\"(])+)\((?P<others>{_LIST})\)(?P<rest>.*)"
)
#: The parts of a primary key or a uniqueness.
_KEY = re.compile(rf"(?P<kind>PRIMARY KEY|UNIQUE)(?P<alike> NULLS NOT DISTINCT)? \((?P<columns>{_LIST})\)")
_PRIMARY = "PRIMARY KEY"
#: The part after a column or an expression of an index: its collation counts, its operator class and its order do not.
_DEFAULT = 'pg_catalog."default"'
_COLLATION = re.compile(r'\s+COLLATE\s+((?:"(?:[^"]|"")*"|[\w$.])+)')


@frozen
class Breaking:
    """Rows that break what is declared."""

    #: The table.
    table: str
    #: The columns that tell, by their own names.
    columns: tuple[str, ...]
    #: A description of these rows, such as ``without a row of users (id), against constraint messages.messages_user_id_fkey``.
    words: str
    #: The query that lists them, for a search_path with the target schema first.
    query: str
    #: The place of the declaring statement, such as ``05_links/apply.sql:3``; empty where none is known.
    place: str = ""
    #: The table whose rows the query compares each with each, as SQL: it is asked only where these are few.
    compared: str = ""

    def conflict(self, count: int) -> str:
        """Return the line that says why the step is in conflict. It holds no value of a row.

        Args:
            count: How many such rows there are.
        """
        columns = f" ({', '.join(map(identifier, self.columns))})" if self.columns else ""
        place = f" ({self.place})" if self.place else ""
        return f"{counted(range(count), 'row')} of {self.table}{columns} {self.words}{place}, listed by: {self.query}"


def breaking_of(key: Key, facts: Facts, rows: LaterRows, place: str = "") -> Breaking | None:
    """Return the rows that break a constraint, a unique index or NOT NULL, or None where none can or it cannot be foreseen.

    Args:
        key: The kind and name of the constraint, the index or the column.
        facts: Its facts.
        rows: The rows as they will be.
        place: The place of the declaring statement.
    """
    if facts.get("not_valid") or facts.get("not_enforced") or facts.get("inherited") or facts.get("partition_of"):
        return None  # such a constraint looks at no row, or the one above it looks at them
    table = str(facts.get("on")) if key[0] == "index" else split(key[1])[0]
    own = rows.of_table(table)
    if own.present is None or not own.is_known or any(map(rows.calls_later, _expressions(facts))):
        return None
    rule = _Rule(own.with_present_key(), rows, only=table in rows.parents)
    found = rule.breaking(key, facts)
    if found is None:
        return None
    columns, words, query = found
    against = f"{'NOT NULL of ' if key[0] == 'column' else ''}{key[0]} {key[1]}"
    compared = written(own.present) if _compares_all(facts) else ""
    return Breaking(table, tuple(columns), f"{words}, against {against}", query, place, compared)


def keeps(each: DatabaseObject, rows: LaterRows) -> tuple[Sequence[str], str] | None:
    """Return the condition of the rows that a rule accepts when they are inserted, or None where it cannot be foreseen.

    Args:
        each: NOT NULL of a column, a check or a foreign key. Other rules do not look at a row alone: they give None.
        rows: The rows as they will be.

    Returns:
        The columns that the condition reads, by their own names, and the condition.
    """
    facts = each.facts or {}
    own = rows.of_table(split(each.name)[0])
    if facts.get("not_enforced") or own.columns is None or any(map(rows.calls_later, _expressions(facts))):
        return None
    found = _Rule(own, rows, only=True).of_one_row(each.key, facts)
    return None if found is None else (found[0], f"({found[2]}) IS NOT TRUE")


def first_of_alike(each: DatabaseObject, rows: LaterRows) -> tuple[Sequence[str], str, str] | None:
    """Return what tells the first of the rows that a uniqueness takes for the same, or None for any other rule.

    Args:
        each: The constraint or the index.
        rows: The rows as they will be.

    Returns:
        The columns that it reads, by their own names; the number of a row among those; and the condition of the rows that
        are the same as no other.
    """
    unique = _uniqueness(each.facts or {})
    if unique is None or any(map(rows.calls_later, _expressions(each.facts or {}))):
        return None
    own = rows.of_table(relation_of(each.key, each.facts) or "")
    columns = _Rule(own, rows, only=True).named_in(*unique.terms, unique.where)
    among = [*unique.terms, *([f"({unique.where})"] if unique.where else [])]
    alone = [] if unique.nulls_alike else [f"{term} IS NULL" for term in unique.terms]
    alone += [f"({unique.where}) IS NOT TRUE"] if unique.where else []
    return columns, f"row_number() OVER (PARTITION BY {', '.join(among)} ORDER BY ctid)", " OR ".join(alone) or "false"


def _expressions(facts: Facts) -> Iterator[str]:
    """Yield the expressions by which a constraint or an index looks at a row."""
    for fact in ("check", "exclude", "columns", "where"):
        yield from texts(facts, fact)


def with_values(column: str, condition: str, words: str, rows: LaterRows, place: str = "") -> Breaking | None:
    """Return the rows in which a condition on a column holds, or None where the rows cannot be foreseen.

    Args:
        column: The column, such as ``users.id``.
        condition: The condition.
        words: What these rows are.
        rows: The rows.
        place: As for ``breaking_of()``.
    """
    return _of_column(column, rows, place, lambda rule, own: rule.in_which(own, words, condition))


def with_values_of_another(column: str, words: str, rows: LaterRows, place: str) -> Breaking | None:
    """Return the rows that have the value of another row in a column, or None where the rows cannot be foreseen.

    Args:
        column: The column, such as ``users.id``.
        words: What these rows are.
        rows: The rows.
        place: As for ``breaking_of()``.
    """
    return _of_column(column, rows, place, lambda rule, own: rule.alike(own, words))


def _of_column(
    column: str, rows: LaterRows, place: str, listed: Callable[[_Rule, str], _Found | None]
) -> Breaking | None:
    table = split(column)[0]
    own = rows.of_table(table)
    if own.present is None:
        return None
    found = listed(_Rule(own.with_present_key(), rows, only=table in rows.parents), parts_of(column)[-1])
    return None if found is None else Breaking(table, tuple(found[0]), *found[1:], place)


#: The columns that tell, what the rows are, and the query.
_Found = tuple[Sequence[str], str, str]


@frozen
class _Uniqueness:
    """The requirement of a unique constraint or index on the rows of its table."""

    #: The columns and expressions, as SQL.
    terms: tuple[str, ...]
    #: The condition of the rows that it looks at; empty for all.
    where: str = ""
    #: Whether NULL is the same as NULL.
    nulls_alike: bool = False
    #: Whether it accepts no NULL.
    no_null: bool = False


@frozen
class _Rule:
    """The questions about the rows of one table."""

    own: TableRows
    #: The rows of all tables.
    rows: LaterRows
    #: Whether rows of tables that inherit from it do not count.
    only: bool

    def breaking(self, key: Key, facts: Facts) -> _Found | None:
        """Return what breaks a constraint, an index or NOT NULL of a column."""
        if found := self.of_one_row(key, facts):
            everywhere = key[0] == "column" or ("check" in facts and not facts.get("no_inherit"))
            return self._shown(*found, only=self.only and not everywhere)
        if "exclude" in facts:
            return self._exclusion(str(facts["exclude"]))
        if ranges := _ranges(facts):
            return self._overlapping(ranges, primary=str(facts["key"]).startswith(_PRIMARY))
        unique = _uniqueness(facts)
        return None if unique is None else self._alike(unique)

    def of_one_row(self, key: Key, facts: Facts) -> tuple[Sequence[str], str, str] | None:
        """Return the condition of a row that breaks NOT NULL, a check or a foreign key: columns, words and condition."""
        if key[0] == "column":
            column = parts_of(key[1])[-1]
            asked = facts.get("not_null") and "not valid" not in str(facts.get("not_null_options", ""))
            return ([column], "with NULL", f"{identifier(column)} IS NULL") if asked else None
        if "check" in facts:
            check = str(facts["check"])
            return self.named_in(check), "with values that it refuses", f"NOT ({check})"
        found = _FOREIGN_KEY.match(str(facts.get("key", "")))
        return None if found is None else self._reference(found)

    def in_which(self, column: str, words: str, condition: str) -> _Found | None:
        """Return the rows in which a condition on a column holds."""
        return self._shown([column], words, condition, only=self.only)

    def alike(self, column: str, words: str) -> _Found | None:
        """Return the rows that have the value of another row in a column."""
        found = self._alike(_Uniqueness((identifier(column),)))
        return found and (found[0], words, found[2])

    def _reference(self, found: re.Match[str]) -> tuple[Sequence[str], str, str] | None:
        own, others = _names_with_period(found["own"]), _names_with_period(found["others"])
        table = ".".join(map(quoted, parts_of(found["table"])))
        columns = [each for each, _ in own]
        full = "MATCH FULL" in found["rest"] and len(own) > 1
        if not full and any(map(self.own.is_null, columns)):
            return None
        words = f"without a row of {table} ({', '.join(identifier(each) for each, _ in others)})"
        condition = " AND ".join(f"{identifier(each)} IS NOT NULL" for each in columns)
        other = self.rows.of_table(table)
        if not other.is_known:
            return None
        words += " that is copied" if other.are_some else ""
        if other.present is None:
            words += ", a table that this plan makes empty: migrate up to it (to, --to) and add the rows"
        else:
            alias = own_name(table)
            if alias == own_name(self.own.table):
                alias = "referred" if alias != "referred" else "referred_row"
            unmatched = self._no_match(own, others, other, alias)
            if unmatched is None:
                return None
            condition += f" AND {unmatched}"
        if full:
            condition = (
                f"({condition}) OR num_nulls({', '.join(map(identifier, columns))}) BETWEEN 1 AND {len(own) - 1}"
            )
        return columns, words, condition

    def _no_match(
        self, own: Sequence[tuple[str, bool]], others: Sequence[tuple[str, bool]], other: TableRows, alias: str
    ) -> str | None:
        """Return the condition that no row is referred to; that of a period is that the rows together do not cover it."""
        source = other.source([each for each, _ in others], alias=alias, only=other.table in self.rows.parents)
        if source is None:
            return None
        mine = own_name(self.own.table)
        pairs = []
        for (each, _), (another, _) in zip(own, others, strict=True):
            collations = self.own.collations.get(each), other.collations.get(another)
            # As the server compares where they differ.
            collated = f" COLLATE {collations[1] or _DEFAULT}" if collations[0] != collations[1] else ""
            pairs.append((f"{alias}.{identifier(another)}", f"{mine}.{identifier(each)}{collated}"))
        if not own[-1][1]:
            return f"NOT EXISTS (SELECT FROM {source} WHERE {' AND '.join(f'{one} = {two}' for one, two in pairs)})"
        *equal, (theirs, period) = pairs
        same = " AND ".join([*(f"{one} = {two}" for one, two in equal), f"{theirs} && {period}"])
        return f"({period} <@ (SELECT range_agg({theirs}) FROM {source} WHERE {same})) IS NOT TRUE"

    def _overlapping(self, columns: Sequence[tuple[str, bool]], *, primary: bool) -> _Found | None:
        """Return the rows whose range overlaps that of another row, or is empty."""
        alone = f"isempty({identifier(columns[-1][0])})"
        alone += "".join(f" OR {identifier(each)} IS NULL" for each, _ in columns) if primary else ""
        elements = [(identifier(each), "&&" if overlaps else "=") for each, overlaps in columns]
        return self._conflicting(elements, alone=alone)

    def _alike(self, unique: _Uniqueness) -> _Found | None:
        """Return the rows that have the values of another row."""
        terms, where, no_null = unique.terms, unique.where, unique.no_null
        nulls_alike = unique.nulls_alike or no_null
        columns = self.named_in(*terms)
        if not nulls_alike and any(self.own.is_null(each) for each in columns if identifier(each) in terms):
            return None
        conditions = [f"({where})"] if where else []
        if not nulls_alike:
            conditions += [f"{term} IS NOT NULL" for term in terms]
        shown = self._first(columns)
        same = "same"
        while same in (self.own.columns or ()) or same in shown:
            same += "_"
        source = self.own.source([*shown, *columns, *self.named_in(where)], only=self.only)
        if source is None:
            return None
        names = ", ".join(map(identifier, dict.fromkeys((*shown, *(columns if no_null else ())))))
        inner = f"SELECT {names}, count(*) OVER (PARTITION BY {', '.join(terms)}) AS {same} FROM {source}"
        if conditions:
            inner += f" WHERE {' AND '.join(conditions)}"
        alone = "".join(f" OR {term} IS NULL" for term in terms) if no_null else ""
        query = f"SELECT {_listed(shown)} FROM ({inner}) AS {own_name(self.own.table)} WHERE {same} > 1{alone}"
        return columns, f"with {'NULL or ' if no_null else ''}the values of another row", query

    def _exclusion(self, exclude: str) -> _Found | None:
        elements, where = _elements_of(exclude)
        return self._conflicting([(_term(each), operator) for each, operator in elements], where)

    def _conflicting(self, elements: Sequence[tuple[str, str]], where: str = "", alone: str = "") -> _Found | None:
        """Return the rows that another row excludes, as all operators hold between them."""
        columns = self.named_in(*(term for term, _ in elements))
        names = {
            term: f"term_{number}"
            for number, (term, _) in enumerate(elements, 1)
            if term not in map(identifier, columns)
        }
        rows = self.own.with_values({name: term for term, name in names.items()})
        mine = own_name(self.own.table)
        shown = self._first(columns)
        needed = [*shown, *columns, *names.values(), *ROW, *self.named_in(where)]
        sources = [rows.source(needed, alias=alias, only=self.only) for alias in (mine, "other_row")]
        if None in sources:
            return None
        apart = " OR ".join(f"other_row.{each} <> {mine}.{each}" for each in ROW)
        same = [
            f"other_row.{name} {operator} {mine}.{name}"
            for name, operator in ((names.get(term, term), operator) for term, operator in elements)
        ]
        inner = " AND ".join([f"({apart})", *same, *([where] if where else [])])
        condition = f"EXISTS (SELECT FROM {sources[1]} WHERE {inner})"
        if where:
            condition = f"{where} AND {condition}"
        if alone:
            condition += f" OR {alone}"
        query = f"SELECT {_listed(shown)} FROM {sources[0]} WHERE {condition}"
        return columns, "that another row excludes", query

    def _shown(self, columns: Sequence[str], words: str, condition: str, *, only: bool) -> _Found | None:
        """Return the rows of which a condition holds."""
        if self.own.columns is None:
            return None
        shown = self._first(columns)
        source = self.own.source([*shown, *columns], only=only)
        if source is None:
            return None
        return columns, words, f"SELECT {_listed(shown)} FROM {source} WHERE {condition}"

    def _first(self, columns: Sequence[str]) -> dict[str, str]:
        """Return columns behind those by which a person finds a row as it stands now; each with the name that is shown."""
        key = {self.own.carried.get(column, column): now for column, now in self.own.key.items()}
        others = {column: column for column in columns if column not in self.own.key}
        return {**key, **others} or {"ctid": "ctid"}

    def named_in(self, *expressions: str) -> list[str]:
        """Return the columns of the table that expressions name, in their order."""
        words = [word for each in expressions for word in words_of(each)]
        return [each for each in dict.fromkeys(words) if each in (self.own.columns or ())]


def _listed(shown: Mapping[str, str]) -> str:
    """Return columns as a query lists them."""
    return ", ".join(
        identifier(column) if column == name else f"{identifier(column)} AS {identifier(name)}"
        for column, name in shown.items()
    )


def _uniqueness(facts: Facts) -> _Uniqueness | None:
    """Return what a key or a unique index says of its rows; None for any other rule."""
    if found := _KEY.match(str(facts.get("key", ""))):
        columns = _names_with_overlaps(found["columns"])
        terms = tuple(identifier(each) for each, _ in columns)
        no_null = found["kind"] == _PRIMARY
        return None if columns[-1][1] else _Uniqueness(terms, "", bool(found["alike"]), no_null)
    if facts.get("unique"):
        terms = tuple(_term(each) for each in texts(facts, "columns"))
        return _Uniqueness(terms, str(facts.get("where", "")), bool(facts.get("nulls_not_distinct")))
    return None


def _ranges(facts: Facts) -> list[tuple[str, bool]]:
    """Return the columns of a key whose last one is of ranges that may not overlap; none for any other rule."""
    found = _KEY.match(str(facts.get("key", "")))
    columns = [] if found is None else _names_with_overlaps(found["columns"])
    return columns if columns and columns[-1][1] else []


def _compares_all(facts: Facts) -> bool:
    """Return whether a rule compares each row with each: no equality narrows down with which."""
    return "exclude" in facts and all(operator != "=" for _, operator in _elements_of(str(facts["exclude"]))[0])


def _elements_of(exclude: str) -> tuple[list[tuple[str, str]], str]:
    """Return the columns of an exclusion, each with its operator, and the condition of its rows in parentheses."""
    body = exclude[exclude.index("(") :]
    elements = _within(body)
    rest = body[len(elements) + 2 :]
    where = f"({_within(rest[rest.index('WHERE (') + len('WHERE ') :])})" if "WHERE (" in rest else ""
    pairs = [each.rpartition(" WITH ") for each in split_list(elements)]
    return [(column, operator) for column, _, operator in pairs], where


def _names_with_period(columns: str) -> list[tuple[str, bool]]:
    """Return the columns of a foreign key, each with whether it is a period."""
    return [(names_in(each.removeprefix("PERIOD "))[0], each.startswith("PERIOD ")) for each in split_list(columns)]


def _names_with_overlaps(columns: str) -> list[tuple[str, bool]]:
    """Return the columns of a key, each with whether its ranges may not overlap."""
    end = " WITHOUT OVERLAPS"
    return [(names_in(each.removesuffix(end))[0], each.endswith(end)) for each in split_list(columns)]


def _term(column: str) -> str:
    """Return the expression of an index's column, with its collation and without its operator class and its order."""
    end = _end_of_first(column)
    collation = _COLLATION.match(column, end)
    return column[: collation.end() if collation else end]


def _within(text: str) -> str:
    """Return what stands in the parenthesis with which a text begins."""
    return text[1 : _end_of_first(text) - 1]


def _end_of_first(text: str) -> int:
    """Return the place of the first space that is in no parenthesis and in no quotes, or the end."""
    depth, quote = 0, ""
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == " " and not depth:
            return place
        else:
            depth += (letter == "(") - (letter == ")")
    return len(text)
