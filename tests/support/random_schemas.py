"""Random schemas for property tests: statements that make objects of every kind, in all their relations to each other.

A statement may be refused by the server, since what was drawn does not fit together: whoever runs the statements goes on
with the next one. Expressions are such as the server prints unchanged when it reads its own text again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import define, field
from hypothesis import strategies as st

T = TypeVar("T")

#: Made once in each database: what belongs to no schema.
BESIDE = """
    CREATE FOREIGN DATA WRAPPER nowhere;
    CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
"""
ROLES = ("anon", "authenticated", "service_role", "PUBLIC")
#: Types with a default and with another value of theirs.
TYPES = {
    "integer": ("0", "7"),
    "bigint": ("1", "'-5'::integer"),
    "text": ("''", "'it''s'"),
    "numeric(10,2)": ("0.5", "'-1.25'::numeric"),
    "date": ("'2020-01-01'", "CURRENT_DATE"),
    "boolean": ("true", "false"),
    "jsonb": ("'{}'", "'[1]'"),
    "text[]": ("'{}'", "ARRAY['a'::text]"),
    "uuid": ("gen_random_uuid()", "'00000000-0000-0000-0000-000000000001'"),
    "timestamp with time zone": ("now()", "'2020-01-01 00:00:00+00'"),
    "tstzrange": ("'empty'", "'(,)'"),
    "point": ("'(0,0)'", "'(1,2)'"),
    "character varying(20)": ("'x'", "'y'"),
}
#: Forms of names: plain, in mixed case, with a space, a keyword, with a dot, with a quote, long.
SHAPES = ("{}", "{}", "{}", '"Mixed{}"', '"with space {}"', '"dot.{}"', '"quo""te{}"', "{}_" + "long_" * 11)


@define(eq=False)
class Table:
    """A table with its columns, each with its type."""

    name: str
    columns: dict[str, str]
    partitioned: bool = False
    keys: list[tuple[str, str]] = field(factory=list)
    #: What is made for it: kinds and names, such as ("CONSTRAINT", "a ON t"), for comments.
    parts: list[tuple[str, str]] = field(factory=list)

    def of_type(self, *types: str) -> list[str]:
        """Return the columns of some types, of all without any."""
        return [name for name, kind in self.columns.items() if not types or kind in types]


@define
class Maker:
    """Draws statements, and remembers what they make."""

    draw: Callable[[st.SearchStrategy[T]], T]
    tables: list[Table] = field(factory=list)
    views: list[Table] = field(factory=list)
    types: list[str] = field(factory=list)
    domains: list[str] = field(factory=list)
    sequences: list[str] = field(factory=list)
    #: Functions of one integer that give an integer.
    functions: list[str] = field(factory=list)
    trigger_functions: list[str] = field(factory=list)
    #: What can be commented on, as COMMENT names it.
    described: list[str] = field(factory=list)
    #: What privileges are for, with those there are.
    granted: list[tuple[str, str]] = field(factory=list)
    count: int = 0

    def pick(self, values: Sequence[T]) -> T:
        """Draw one of some values."""
        return self.draw(st.sampled_from(values))

    def chance(self, of: int = 2) -> bool:
        """Draw a truth value, true once in so many times."""
        return self.draw(st.integers(0, of - 1)) == of - 1

    def some(self, values: Sequence[T], least: int = 1, most: int = 3) -> list[T]:
        """Draw some different values; none of none."""
        if not values:
            return []
        most = min(most, len(values))
        return self.draw(st.lists(st.sampled_from(values), min_size=min(least, most), max_size=most, unique=True))

    def name(self, stem: str) -> str:
        """Return a new name, quoted where it must be."""
        self.count += 1
        return self.pick(SHAPES).format(f"{stem}{self.count}")

    def any_type(self) -> str:
        """Draw a type of a column."""
        own = [*self.types, *self.domains]
        return self.pick(own) if own and self.chance(4) else self.pick(list(TYPES))


Action = Callable[[Maker], list[str]]


def _column(maker: Maker, kind: str) -> str:
    words = [kind]
    if kind == "text" and maker.chance(4):
        words.append('COLLATE "C"')
    if kind in ("text", "jsonb") and maker.chance(5):
        words.append("COMPRESSION pglz")
    if kind in TYPES and maker.chance(3):
        words.append(f"DEFAULT {maker.pick(TYPES[kind])}")
    elif kind in ("integer", "bigint") and maker.chance(4):
        choice = maker.pick(["ALWAYS AS IDENTITY", "BY DEFAULT AS IDENTITY (START 100 INCREMENT 5)"])
        words.append(f"GENERATED {choice}")
    if maker.chance(3):
        words.append("NOT NULL")
    return " ".join(words)


def table(maker: Maker) -> list[str]:
    """A table with columns, keys and checks."""
    made = Table(maker.name("t"), {})
    lines = []
    for _ in range(maker.draw(st.integers(1, 5))):
        name, kind = maker.name("c"), maker.any_type()
        made.columns[name] = kind
        lines.append(f"{name} {_column(maker, kind)}")
    if maker.chance(3):
        name = maker.name("c")
        made.columns[name] = "serial"
        lines.append(f"{name} {maker.pick(['serial', 'bigserial', 'smallserial'])}")
        made.columns[name] = "integer"
    numbers = made.of_type("integer", "bigint")
    if numbers and maker.chance(3):
        lines.append(f"{maker.name('g')} bigint GENERATED ALWAYS AS ({maker.pick(numbers)} * 2) STORED")
    lines += _table_constraints(maker, made)
    inherits = ""
    plain = [each for each in maker.tables if not each.partitioned]
    if plain and maker.chance(5):
        parents = maker.some(plain, 1, 2)
        inherits = f" INHERITS ({', '.join(each.name for each in parents)})"
        for each in parents:
            made.columns = {**each.columns, **made.columns}
    options = " WITH (fillfactor=70)" if maker.chance(5) else ""
    unlogged = "UNLOGGED " if maker.chance(6) else ""
    maker.tables.append(made)
    maker.described.append(f"TABLE {made.name}")
    maker.described += [f"COLUMN {made.name}.{column}" for column in made.columns]
    maker.granted.append((f"TABLE {made.name}", "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"))
    return [f"CREATE {unlogged}TABLE {made.name} ({', '.join(lines)}){inherits}{options}"]


def _table_constraints(maker: Maker, made: Table) -> list[str]:
    lines = []
    keyed = made.of_type("integer", "bigint", "text", "uuid", "date")
    if keyed and maker.chance():
        columns = ", ".join(maker.some(keyed, 1, 2))
        named = f"CONSTRAINT {maker.name('pk')} " if maker.chance(3) else ""
        lines.append(f"{named}PRIMARY KEY ({columns})")
        made.keys.append(("p", columns))
    if keyed and maker.chance(3):
        columns, name = ", ".join(maker.some(keyed, 1, 2)), maker.name("uq")
        nulls = maker.pick(["", "NULLS NOT DISTINCT "])
        late = maker.pick(["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"])
        lines.append(f"CONSTRAINT {name} UNIQUE {nulls}({columns}){late}")
        made.parts.append(("CONSTRAINT", f"{name} ON {made.name}"))
        if not late:
            made.keys.append(("u", columns))
    return [*lines, *(f"CONSTRAINT {maker.name('ck')} CHECK ({check})" for check in _checks(maker, made))]


def _checks(maker: Maker, made: Table) -> list[str]:
    numbers, words = made.of_type("integer", "bigint"), made.of_type("text")
    found = []
    if numbers and maker.chance(3):
        found.append(f"{maker.pick(numbers)} > 0")
    if words and maker.chance(3):
        found.append(f"length({maker.pick(words)}) < 100 AND {maker.pick(words)} <> 'bad'::text")
    if numbers and maker.functions and maker.chance(3):
        found.append(f"{maker.pick(maker.functions)}({maker.pick(numbers)}::integer) IS NOT NULL")
    return found


def partitioned(maker: Maker) -> list[str]:
    """A partitioned table, with partitions of each making, keys and indexes before and after them."""
    made = Table(maker.name("p"), {}, partitioned=True)
    key, day, word = maker.name("id"), maker.name("day"), maker.name("word")
    made.columns = {key: "integer", day: "date", word: "text"}
    numbered = " GENERATED ALWAYS AS IDENTITY" if maker.chance(4) else ""
    lines = [f"{key} integer{numbered} NOT NULL", f"{day} date NOT NULL", f"{word} text DEFAULT 'x'"]
    by = maker.pick(["RANGE", "LIST", "HASH"])
    if maker.chance():
        lines.append(f"PRIMARY KEY ({key}, {day})")
        made.keys.append(("p", f"{key}, {day}"))
    if maker.chance(3):
        lines.append(f"CONSTRAINT {maker.name('ck')} CHECK ({key} > 0)")
    partition_key = {"RANGE": day, "LIST": key, "HASH": key}[by]
    statements = [f"CREATE TABLE {made.name} ({', '.join(lines)}) PARTITION BY {by} ({partition_key})"]
    index = f"CREATE {maker.pick(['', '', 'UNIQUE '])}INDEX {maker.name('i')} ON {made.name} ({key}, {day} DESC)"
    early = maker.chance()
    statements += [index] * early
    for number in range(maker.draw(st.integers(1, 3))):
        statements += _partition(maker, made, by, number, lines)
    statements += [index.replace("INDEX ", "INDEX IF NOT EXISTS ")] * (not early)
    if maker.chance(3):
        statements.append(f"CREATE INDEX ON ONLY {made.name} ({word})")
    maker.tables.append(made)
    maker.described.append(f"TABLE {made.name}")
    maker.granted.append((f"TABLE {made.name}", "SELECT, INSERT, UPDATE"))
    return statements


def _partition(maker: Maker, parent: Table, by: str, number: int, lines: list[str]) -> list[str]:
    name = maker.name("part")
    bound = {
        "RANGE": f"FOR VALUES FROM ('202{number}-01-01') TO ('202{number}-12-31')",
        "LIST": f"FOR VALUES IN ({number + 1}, {number + 10})",
        "HASH": f"FOR VALUES WITH (modulus 3, remainder {number})",
    }[by]
    if by != "HASH" and number == 2:
        bound = "DEFAULT"
    made = Table(name, dict(parent.columns))
    maker.described.append(f"TABLE {name}")
    key, day, word = parent.columns
    below = maker.pick([f"PARTITION OF {parent.name}", "attached", "in another order", "divided"])
    own = [f"CREATE INDEX {maker.name('i')} ON {name} ({word})"] * maker.chance(3)
    if below == "divided":
        leaf = Table(maker.name("leaf"), dict(parent.columns))
        return [
            f"CREATE TABLE {name} PARTITION OF {parent.name} {bound} PARTITION BY RANGE ({day})",
            f"CREATE TABLE {leaf.name} PARTITION OF {name} DEFAULT",
            *own,
        ]
    maker.tables.append(made)
    if below.startswith("PARTITION"):
        override = f" ({word} DEFAULT 'own')" if maker.chance(3) else ""
        return [f"CREATE TABLE {name} {below}{override} {bound}", *own]
    shown = [line.replace(" GENERATED ALWAYS AS IDENTITY", "") for line in lines if not line.startswith("PRIMARY")]
    if below == "in another order":
        shown.reverse()
    statements = [f"CREATE TABLE {name} ({', '.join(shown)})"]
    if maker.chance() and by != "LIST":
        statements.append(f"CREATE INDEX {maker.name('i')} ON {name} ({key}, {day} DESC)")
    return [*statements, f"ALTER TABLE {parent.name} ATTACH PARTITION {name} {bound}", *own]


def enum(maker: Maker) -> list[str]:
    """An enum."""
    name = maker.name("mood")
    maker.types.append(name)
    maker.described.append(f"TYPE {name}")
    maker.granted.append((f"TYPE {name}", "USAGE"))
    return [f"CREATE TYPE {name} AS ENUM ('bad', 'it''s fair', 'Good')"]


def domain(maker: Maker) -> list[str]:
    """A domain, sometimes with a check that calls a function."""
    name = maker.name("dom")
    checks = ["VALUE >= 0", *(f"{each}(VALUE) > 0" for each in maker.functions[:2])]
    words = maker.pick(["", " DEFAULT 0", " NOT NULL", " DEFAULT 1 NOT NULL"])
    check = maker.name("ck")
    maker.domains.append(name)
    maker.described += [f"DOMAIN {name}", f"CONSTRAINT {check} ON DOMAIN {name}"]
    return [f"CREATE DOMAIN {name} AS integer{words} CONSTRAINT {check} CHECK ({maker.pick(checks)})"]


def composite(maker: Maker) -> list[str]:
    """A composite type or a range."""
    name = maker.name("comp")
    maker.types.append(name)
    maker.described.append(f"TYPE {name}")
    if maker.chance(3):
        return [f"CREATE TYPE {name} AS RANGE (subtype = {maker.pick(['integer', 'date', 'text'])})"]
    attributes = [f"{maker.name('a')} {maker.any_type()}" for _ in range(maker.draw(st.integers(1, 3)))]
    maker.described.append(
        f"COLUMN {name}.{attributes[0].rpartition(' ')[0]}" if attributes[0].count(" ") == 1 else "TABLE none"
    )
    return [f"CREATE TYPE {name} AS ({', '.join(attributes)})"]


def typed_table(maker: Maker) -> list[str]:
    """A table of a composite type."""
    kind, name, first, second = maker.name("comp"), maker.name("typed"), maker.name("a"), maker.name("a")
    return [
        f"CREATE TYPE {kind} AS ({first} integer, {second} text)",
        f"CREATE TABLE {name} OF {kind} ({first} WITH OPTIONS NOT NULL DEFAULT 3, PRIMARY KEY ({first}))"
        if maker.chance()
        else f"CREATE TABLE {name} OF {kind}",
    ]


def sequence(maker: Maker) -> list[str]:
    """A sequence, sometimes owned by a column or its default."""
    name = maker.name("s")
    words = maker.pick(
        ["", " AS integer INCREMENT 5 START 1000", " INCREMENT -1 MAXVALUE 10 MINVALUE -100", " CACHE 3 CYCLE"]
    )
    maker.sequences.append(name)
    maker.described.append(f"SEQUENCE {name}")
    maker.granted.append((f"SEQUENCE {name}", "USAGE, SELECT, UPDATE"))
    statements = [f"CREATE SEQUENCE {name}{words}"]
    for each in maker.some(maker.tables, 0, 1):
        if numbers := each.of_type("integer", "bigint"):
            column = maker.pick(numbers)
            statements.append(f"ALTER SEQUENCE {name} OWNED BY {each.name}.{column}")
            statements += [
                f"ALTER TABLE {each.name} ALTER COLUMN {column} SET DEFAULT nextval('{name}')"
            ] * maker.chance()
    return statements


def function(maker: Maker) -> list[str]:
    """A function of an integer: of text or of statements, alone or over a table."""
    name = maker.name("f")
    words = maker.pick(
        ["IMMUTABLE", "IMMUTABLE STRICT PARALLEL SAFE", "STABLE SECURITY DEFINER COST 7", "LEAKPROOF IMMUTABLE"]
    )
    words += maker.pick(["", " SET search_path FROM CURRENT", " SET work_mem TO '8MB' SET search_path FROM CURRENT"])
    head = f"CREATE FUNCTION {name}(n integer{maker.pick(['', ' DEFAULT 2'])}) RETURNS integer {words} LANGUAGE"
    bodies = [
        f"{head} sql AS $$ SELECT n + 1 $$",
        f"{head} sql RETURN n * 2",
        f"{head} plpgsql AS $$ BEGIN RETURN n; END $$",
        *(f"{head} sql RETURN {other}(n) + 1" for other in maker.functions[-2:]),
    ]
    bodies += [
        f"{head} sql BEGIN ATOMIC SELECT count(*)::integer FROM {each.name} WHERE {column} = n; END"
        for each in maker.tables[-3:]
        for column in each.of_type("integer")[:1]
    ]
    body = maker.pick(bodies)
    maker.functions.append(name)
    maker.described.append(f"FUNCTION {name}(integer)")
    maker.granted.append((f"FUNCTION {name}(integer)", "EXECUTE"))
    return [body]


def routine(maker: Maker) -> list[str]:
    """A function that gives rows, a procedure, one with other arguments, a trigger's function."""
    name = maker.name("r")
    if maker.chance(5):
        maker.trigger_functions.append(name)
        maker.described.append(f"FUNCTION {name}()")
        return [f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"]
    statements = [
        f"CREATE PROCEDURE {name}(INOUT a integer, b text DEFAULT 'x'::text) LANGUAGE plpgsql AS $$ BEGIN a := 1; END $$",
        f"CREATE FUNCTION {name}(VARIADIC many integer[]) RETURNS bigint LANGUAGE sql RETURN cardinality(many)",
        f"CREATE FUNCTION {name}(a integer, OUT b integer, OUT c text) LANGUAGE sql AS $$ SELECT 1, 'x' $$",
        f"CREATE FUNCTION {name}(a anyelement) RETURNS anyarray LANGUAGE sql AS $$ SELECT ARRAY[a] $$",
    ]
    for each in (maker.tables + maker.views)[-4:]:
        statements += [
            f"CREATE FUNCTION {name}() RETURNS SETOF {each.name} ROWS 10 LANGUAGE sql STABLE AS 'SELECT * FROM {each.name}'",
            f"CREATE FUNCTION {name}(a {each.name}) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN a IS NOT NULL",
            f"CREATE FUNCTION {name}() RETURNS SETOF {each.name} LANGUAGE sql BEGIN ATOMIC SELECT * FROM {each.name}; END",
        ]
    return [maker.pick(statements)]


def default(maker: Maker) -> list[str]:
    """A default that calls a function, or a check that does, or one of rows that are not looked at."""
    numbered = [(each, column) for each in maker.tables for column in each.of_type("integer", "bigint")]
    if not numbered:
        return []
    each, column = maker.pick(numbered)
    name = maker.name("ck")
    choices = [
        f"ALTER TABLE {each.name} ADD CONSTRAINT {name} CHECK ({column} < 1000) NOT VALID",
        f"ALTER TABLE {each.name} ADD CONSTRAINT {name} CHECK ({column} < 1000) NO INHERIT",
        f"ALTER TABLE {each.name} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL OR {column} > 3)",
        *(f"ALTER TABLE {each.name} ALTER COLUMN {column} SET DEFAULT {called}(5)" for called in maker.functions[-2:]),
        *(
            f"ALTER TABLE {each.name} ADD CONSTRAINT {name} CHECK ({called}(3) > {column})"
            for called in maker.functions[-2:]
        ),
        *(
            f"ALTER TABLE {each.name} ALTER COLUMN {column} SET DEFAULT nextval('{one}')"
            for one in maker.sequences[-2:]
        ),
        *(
            f"ALTER TABLE {each.name} ADD COLUMN {maker.name('g')} integer GENERATED ALWAYS AS ({called}(5)) STORED"
            for called in maker.functions[-2:]
        ),
    ]
    each.parts.append(("CONSTRAINT", f"{name} ON {each.name}"))
    return [maker.pick(choices)]


def reference(maker: Maker) -> list[str]:
    """A foreign key to any key, also of the table itself and in circles."""
    keyed = [(each, columns) for each in maker.tables for _, columns in each.keys]
    if not keyed:
        return []
    to, columns = maker.pick(keyed)
    wanted = [to.columns.get(column, "") for column in columns.split(", ")]
    froms = [each for each in maker.tables if all(each.of_type(kind) for kind in wanted)]
    if not froms:
        return []
    each = maker.pick(froms)
    own = [maker.pick(each.of_type(kind)) for kind in wanted]
    name = maker.name("fk")
    words = maker.pick(
        [
            "",
            " ON DELETE CASCADE",
            " ON UPDATE SET NULL ON DELETE SET DEFAULT",
            " DEFERRABLE INITIALLY DEFERRED",
            " NOT VALID",
            " MATCH FULL",
            f" ON DELETE SET NULL ({own[0]})",
        ]
    )
    each.parts.append(("CONSTRAINT", f"{name} ON {each.name}"))
    return [
        f"ALTER TABLE {each.name} ADD CONSTRAINT {name} FOREIGN KEY ({', '.join(own)}) REFERENCES {to.name} ({columns}){words}"
    ]


def index(maker: Maker) -> list[str]:
    """An index of some kind."""
    if not maker.tables:
        return []
    each = maker.pick(maker.tables)
    name = maker.name("i")
    columns = list(each.columns)
    numbers, words = each.of_type("integer", "bigint"), each.of_type("text")
    choices = [f"({', '.join(maker.some(columns))})", f"({maker.pick(columns)} DESC NULLS LAST)"]
    choices += [f"USING hash ({maker.pick(columns)})", f"({columns[0]}) WHERE ({columns[0]} IS NOT NULL)"]
    choices += [f"({columns[0]}) INCLUDE ({columns[-1]})", f"({columns[0]}) WITH (fillfactor=80)"]
    choices += [f"USING brin ({each_number}) WITH (pages_per_range=16)" for each_number in numbers[:1]]
    choices += [f"(({numbers[0]} + 1)) WHERE ({numbers[0]} > 5)"] if numbers else []
    choices += [f"(({maker.pick(maker.functions)}({numbers[0]}::integer)))"] if numbers and maker.functions else []
    choices += [f'(lower({words[0]}) text_pattern_ops, {words[0]} COLLATE "POSIX")'] if words else []
    choices += [f"USING gin ({json} jsonb_path_ops)" for json in each.of_type("jsonb")[:1]]
    choices += [f"USING gist ({span})" for span in each.of_type("tstzrange", "point")[:1]]
    unique = "UNIQUE " if maker.chance(4) else ""
    chosen = maker.pick(choices)
    maker.described.append(f"INDEX {name}")
    statements = [f"CREATE {unique}INDEX {name} ON {each.name} {chosen}"]
    if "((" in chosen:
        statements += [f"ALTER INDEX {name} ALTER COLUMN 1 SET STATISTICS 500"] * maker.chance(3)
    if maker.chance(5):
        statements.append(f"ALTER TABLE {each.name} CLUSTER ON {name}")
    if unique and maker.chance(3):
        statements.append(f"ALTER TABLE {each.name} REPLICA IDENTITY USING INDEX {name}")
    return statements


def exclusion(maker: Maker) -> list[str]:
    """An exclusion constraint."""
    spans = [(each, column) for each in maker.tables for column in each.of_type("tstzrange")]
    if not spans:
        return []
    each, column = maker.pick(spans)
    words = maker.pick(["", f" WHERE (NOT isempty({column}))", " DEFERRABLE"])
    return [f"ALTER TABLE {each.name} ADD CONSTRAINT {maker.name('ex')} EXCLUDE USING gist ({column} WITH &&){words}"]


def view(maker: Maker) -> list[str]:
    """A view or a materialized one, of a table, a view, several, or of functions."""
    sources = maker.tables + maker.views
    if not sources:
        return []
    one, other = maker.pick(sources), maker.pick(sources)
    made = Table(maker.name("v"), {})
    own = maker.some(list(one.columns), 1, 3)
    made.columns = {column: one.columns[column] for column in own}
    plain = f"SELECT {', '.join(f'a.{column}' for column in own)} FROM {one.name} a"
    numbers = one.of_type("integer")
    queries = [
        plain,
        f"{plain} WHERE a.{own[0]} IS NOT NULL ORDER BY a.{own[0]}",
        f"SELECT a.{own[0]}, count(*) AS n FROM {one.name} a CROSS JOIN {other.name} b GROUP BY a.{own[0]}",
        f"SELECT a.{own[0]}, b.* FROM {one.name} a, LATERAL (SELECT 1 AS x, 'y'::text AS y) b",
        f"WITH c AS (SELECT 1 AS n) SELECT a.{own[0]}, c.n FROM {one.name} a CROSS JOIN c",
        f"SELECT a.{own[0]}, a AS whole FROM {one.name} a",
    ]
    queries += [
        f"SELECT a.{own[0]}, {called}(a.{numbers[0]}) AS f FROM {one.name} a"
        for called in maker.functions[-2:]
        if numbers
    ]
    # The columns that the key determines.
    queries += [f"SELECT a.* FROM {one.name} a GROUP BY {columns}" for kind, columns in one.keys if kind == "p"]
    query = maker.pick(queries)
    if query != plain and "WHERE" not in query:
        made.columns = {own[0]: one.columns[own[0]]}
    maker.views.append(made)
    if maker.chance(4):
        maker.described.append(f"MATERIALIZED VIEW {made.name}")
        data = maker.pick(["", " WITH NO DATA"])
        return [
            f"CREATE MATERIALIZED VIEW {made.name} AS {query}{data}",
            *[f"CREATE INDEX {maker.name('i')} ON {made.name} ({own[0]})"] * maker.chance(),
        ]
    maker.described += [f"VIEW {made.name}", f"COLUMN {made.name}.{own[0]}"]
    maker.granted.append((f"TABLE {made.name}", "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER"))
    words = maker.pick(
        ["", "", " WITH (security_barrier=true)", " WITH (security_barrier=true, security_invoker=true)"]
    )
    check = " WITH LOCAL CHECK OPTION" if query == plain and maker.chance(4) else ""
    statements = [f"CREATE VIEW {made.name}{words} AS {query}{check}"]
    if one.columns[own[0]] in ("integer", "bigint") and maker.chance(3):
        statements.append(f"ALTER VIEW {made.name} ALTER COLUMN {own[0]} SET DEFAULT 9")
    return statements


def circle(maker: Maker) -> list[str]:
    """A view over a function whose rows are those of the view, and tables whose keys refer to each other."""
    first, second = maker.name("v"), maker.name("f")
    if maker.chance():
        return [
            f"CREATE VIEW {first} AS SELECT 1 AS one, 'x'::text AS \"two Two\"",
            f"CREATE FUNCTION {second}() RETURNS SETOF {first} LANGUAGE sql AS $$ SELECT 1, 'x'::text $$",
            f'CREATE OR REPLACE VIEW {first} AS SELECT one, "two Two" FROM {second}()',
        ]
    return [
        f"CREATE TABLE {first} (id integer PRIMARY KEY, other integer)",
        f"CREATE TABLE {second} (id integer PRIMARY KEY, other integer REFERENCES {first})",
        f"ALTER TABLE {first} ADD FOREIGN KEY (other) REFERENCES {second} DEFERRABLE INITIALLY DEFERRED",
    ]


def trigger(maker: Maker) -> list[str]:
    """A trigger of some kind, enabled in some way."""
    if not maker.tables:
        return []
    first = []
    if not maker.trigger_functions:
        maker.trigger_functions.append(maker.name("r"))
        body = "LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
        first = [f"CREATE FUNCTION {maker.trigger_functions[0]}() RETURNS trigger {body}"]
    each, name = maker.pick(maker.tables), maker.name("tg")
    called = f"EXECUTE FUNCTION {maker.pick(maker.trigger_functions)}()"
    column = maker.pick(list(each.columns))
    events = [
        f"TRIGGER {name} BEFORE INSERT OR UPDATE OF {column} ON {each.name} FOR EACH ROW {called}",
        f"TRIGGER {name} AFTER UPDATE ON {each.name} FOR EACH ROW WHEN ((old.{column} IS NOT NULL)) {called}",
        f"TRIGGER {name} AFTER DELETE ON {each.name} REFERENCING OLD TABLE AS gone FOR EACH STATEMENT {called}",
        f"CONSTRAINT TRIGGER {name} AFTER INSERT ON {each.name} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {called}",
        f"TRIGGER {name} BEFORE TRUNCATE ON {each.name} FOR EACH STATEMENT {called[:-1]}'EXECUTE FUNCTION f(1)', 'b')",
    ]
    maker.described.append(f"TRIGGER {name} ON {each.name}")
    statements = [*first, f"CREATE {maker.pick(events)}"]
    if maker.chance(3):
        statements.append(
            f"ALTER TABLE {each.name} {maker.pick(['DISABLE', 'ENABLE REPLICA', 'ENABLE ALWAYS'])} TRIGGER {name}"
        )
    for one in maker.some(maker.views, 0, 1):
        statements.append(f"CREATE TRIGGER {maker.name('tg')} INSTEAD OF INSERT ON {one.name} FOR EACH ROW {called}")
    return statements


def rule(maker: Maker) -> list[str]:
    """A rule."""
    if not maker.tables:
        return []
    each, name = maker.pick(maker.tables), maker.name("ru")
    column = maker.pick(list(each.columns))
    rules = [
        f"CREATE RULE {name} AS ON DELETE TO {each.name} DO INSTEAD NOTHING",
        f"CREATE RULE {name} AS ON UPDATE TO {each.name} WHERE old.{column} IS NULL DO ALSO NOTIFY changed",
        f"CREATE RULE {name} AS ON INSERT TO {each.name} DO ALSO DELETE FROM {maker.pick(maker.tables).name}",
    ]
    maker.described.append(f"RULE {name} ON {each.name}")
    return [maker.pick(rules), *[f"ALTER TABLE {each.name} DISABLE RULE {name}"] * maker.chance(4)]


def policy(maker: Maker) -> list[str]:
    """A policy, sometimes by a function, a table or a view."""
    if not maker.tables:
        return []
    each, name = maker.pick(maker.tables), maker.name("po")
    column = maker.pick(list(each.columns))
    other = maker.pick(maker.tables + maker.views)
    inner = next(iter(other.columns))
    conditions = [f"{column} IS NOT NULL", "true", f"EXISTS (SELECT 1 FROM {other.name} o WHERE o.{inner} IS NOT NULL)"]
    conditions += [f"{called}(1) > 0" for called in maker.functions[-2:]]
    condition = maker.pick(conditions)
    forms = [
        f"USING ({condition})",
        f"AS RESTRICTIVE FOR UPDATE TO anon, service_role USING (true) WITH CHECK ({condition})",
        f"FOR INSERT TO authenticated WITH CHECK ({condition})",
        f"FOR SELECT TO current_user USING ({condition})",
    ]
    maker.described.append(f"POLICY {name} ON {each.name}")
    statements = [f"CREATE POLICY {name} ON {each.name} {maker.pick(forms)}"]
    words = maker.pick(["ENABLE ROW LEVEL SECURITY", "ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"])
    return [*statements, f"ALTER TABLE {each.name} {words}"]


def statistics(maker: Maker) -> list[str]:
    """Extended statistics."""
    wide = [each for each in maker.tables if len(each.columns) > 1 and not each.partitioned]
    if not wide:
        return []
    each, name = maker.pick(wide), maker.name("st")
    columns = maker.some(list(each.columns), 2, 3)
    kinds = maker.pick(["", " (ndistinct)", " (dependencies, mcv)"])
    numbers = each.of_type("integer")
    items = ", ".join(columns)
    if numbers and maker.chance(3):
        items, kinds = f"({numbers[0]} + 1), ({numbers[0]} * 2)", ""
    maker.described.append(f"STATISTICS {name}")
    return [
        f"CREATE STATISTICS {name}{kinds} ON {items} FROM {each.name}",
        *[f"ALTER STATISTICS {name} SET STATISTICS 200"] * maker.chance(3),
    ]


def operators(maker: Maker) -> list[str]:
    """An aggregate, an operator with its opposite, or an operator class."""
    name, called = maker.name("ag"), maker.name("f")
    symbols = maker.pick(["===", "<~>", "@#@", "!@#"])
    compare = f"CREATE FUNCTION {called}(a integer, b integer) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN a = b"
    if maker.chance(3):
        add = f"CREATE FUNCTION {called}(a integer, b integer) RETURNS integer LANGUAGE sql IMMUTABLE RETURN a + b"
        maker.described.append(f"AGGREGATE {name}(integer)")
        words = maker.pick(["", ", INITCOND = '0'", ", COMBINEFUNC = " + called, ", PARALLEL = safe"])
        return [add, f"CREATE AGGREGATE {name}(integer) (SFUNC = {called}, STYPE = integer{words})"]
    if maker.chance(3):
        return [
            f"CREATE OPERATOR FAMILY {name} USING btree",
            (
                f"CREATE OPERATOR CLASS {called} FOR TYPE integer USING btree FAMILY {name} AS OPERATOR 1 <, OPERATOR 2 <=, "
                "OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer)"
            ),
            f"ALTER OPERATOR FAMILY {name} USING btree ADD OPERATOR 1 <(integer, bigint), FUNCTION 1 (integer, bigint) btint48cmp(integer, bigint)",
        ]
    words = maker.pick(
        [
            "",
            f", COMMUTATOR = {symbols}",
            f", NEGATOR = {symbols}!",
            ", RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES",
        ]
    )
    statements = [
        compare,
        f"CREATE OPERATOR {symbols} (FUNCTION = {called}, LEFTARG = integer, RIGHTARG = integer{words})",
    ]
    if "NEGATOR" in words:
        statements.append(
            f"CREATE OPERATOR {symbols}! (FUNCTION = {called}, LEFTARG = integer, RIGHTARG = integer, NEGATOR = {symbols})"
        )
    maker.described.append(f"OPERATOR {symbols} (integer, integer)")
    return statements


def searches(maker: Maker) -> list[str]:
    """A collation, a configuration or a dictionary of text search, a conversion."""
    name, other = maker.name("x"), maker.name("x")
    return maker.pick(
        [
            [f"CREATE COLLATION {name} (LOCALE = 'C')"],
            [
                f"CREATE TEXT SEARCH DICTIONARY {name} (TEMPLATE = simple, accept = false)",
                f'CREATE TEXT SEARCH CONFIGURATION {other} (PARSER = "default")',
                f"ALTER TEXT SEARCH CONFIGURATION {other} ADD MAPPING FOR asciiword, word WITH {name}, simple",
            ],
            [f"CREATE CONVERSION {name} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8"],
        ]
    )


def setting(maker: Maker) -> list[str]:
    """A setting of a column or a table."""
    if not maker.tables:
        return []
    each = maker.pick(maker.tables)
    column = maker.pick(list(each.columns))
    steps = [
        f"ALTER COLUMN {column} SET STATISTICS 300",
        f"ALTER COLUMN {column} SET (n_distinct=-0.5)",
        f"ALTER COLUMN {column} SET NOT NULL",
        "REPLICA IDENTITY FULL",
        "REPLICA IDENTITY NOTHING",
        "SET (autovacuum_enabled=false, fillfactor=50)",
        *(
            f"ALTER COLUMN {word} SET STORAGE {maker.pick(['EXTERNAL', 'MAIN'])}"
            for word in each.of_type("text", "jsonb")[:1]
        ),
    ]
    return [f"ALTER TABLE {each.name} {maker.pick(steps)}"]


def change(maker: Maker) -> list[str]:
    """A column dropped, added or renamed, a table renamed."""
    if not maker.tables:
        return []
    each = maker.pick(maker.tables)
    column = maker.pick(list(each.columns))
    name = maker.name("n")
    steps = [
        f"ADD COLUMN {name} {_column(maker, maker.any_type())}",
        f"DROP COLUMN {column}",
        f"RENAME COLUMN {column} TO {name}",
        f"RENAME CONSTRAINT {each.name}_{column}_not_null TO {name}",
        f"ADD CONSTRAINT {name} NOT NULL {column}",
    ]
    keyed = each.of_type("integer", "bigint", "text", "uuid", "date")
    if keyed:
        columns = ", ".join(keyed[:2])
        steps += [f"ADD PRIMARY KEY ({columns})", f"ADD CONSTRAINT {name} UNIQUE ({columns}) DEFERRABLE"]
        each.keys.append(("u", columns))
        if each.partitioned and maker.chance(3):
            return [f"ALTER TABLE ONLY {each.name} ADD CONSTRAINT {name} UNIQUE ({columns})"]
    return [f"ALTER TABLE {each.name} {maker.pick(steps)}"]


def foreign_table(maker: Maker) -> list[str]:
    """A table of another server."""
    return [
        (
            f"CREATE FOREIGN TABLE {maker.name('ft')} (a integer OPTIONS (name 'b') NOT NULL, b text DEFAULT 'x'::text) "
            "SERVER far OPTIONS (place 'it''s', port '3')"
        )
    ]


def comment(maker: Maker) -> list[str]:
    """Comments on some of all."""
    described = maker.described + [" ".join(part) for each in maker.tables for part in each.parts]
    texts = ["'plain'", "'it''s'", "'two\nlines'", "E'back\\\\slash'"]
    return [f"COMMENT ON {each} IS {maker.pick(texts)}" for each in maker.some(described, 0, 4)] if described else []


def grant(maker: Maker) -> list[str]:
    """Privileges given and taken."""
    statements = []
    for target, may in maker.some(maker.granted, 1, 3) if maker.granted else []:
        words = ", ".join(maker.some(may.split(", "), 1, 6))  # seven of a table are all of them before version 17
        role = maker.pick(ROLES)
        option = " WITH GRANT OPTION" if role != "PUBLIC" and maker.chance(4) else ""
        statements.append(
            maker.pick(
                [
                    f"GRANT {words} ON {target} TO {role}{option}",
                    f"GRANT ALL ON {target} TO {role}{option}",
                    f"REVOKE {words} ON {target} FROM CURRENT_USER",
                    f"REVOKE ALL ON {target} FROM PUBLIC",
                ]
            )
        )
    for each in maker.some(maker.tables, 0, 1):
        column = maker.pick(list(each.columns))
        statements.append(f"GRANT SELECT ({column}), UPDATE ({column}) ON {each.name} TO {maker.pick(ROLES)}")
    return statements


def default_privilege(maker: Maker) -> list[str]:
    """Default privileges of the schema, and privileges on it."""
    schema = "app"
    return [
        maker.pick(
            [
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT ON TABLES TO anon",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT ALL ON SEQUENCES TO anon, authenticated",
                f"ALTER DEFAULT PRIVILEGES FOR ROLE service_role IN SCHEMA {schema} GRANT EXECUTE ON FUNCTIONS TO anon",
                f"GRANT USAGE ON SCHEMA {schema} TO anon",
                f"COMMENT ON SCHEMA {schema} IS 'one''s own'",
            ]
        )
    ]


def drop(maker: Maker) -> list[str]:
    """Something dropped, with all that needs it."""
    cascade = maker.pick([" CASCADE", ""])
    choices = [f"DROP TABLE {each.name}{cascade}" for each in maker.tables]
    choices += [f"DROP VIEW {each.name}{cascade}" for each in maker.views]
    choices += [f"DROP FUNCTION {each}(integer){cascade}" for each in maker.functions]
    choices += [f"DROP TYPE {each}{cascade}" for each in maker.types]
    choices += [f"DROP DOMAIN {each}{cascade}" for each in maker.domains]
    choices += [f"DROP SEQUENCE {each}{cascade}" for each in maker.sequences]
    choices += [
        f"ALTER TABLE {each.name} DROP CONSTRAINT {part.partition(' ON ')[0]}{cascade}"
        for each in maker.tables
        for _, part in each.parts
    ]
    choices += [
        f"ALTER TABLE {each.name} DROP COLUMN {column}{cascade}" for each in maker.tables for column in each.columns
    ]
    words = ("INDEX", "TRIGGER", "POLICY", "RULE", "STATISTICS", "AGGREGATE", "OPERATOR")
    choices += [f"DROP {each}{cascade}" for each in maker.described if each.startswith(words)]
    return [maker.pick(choices)] if choices else []


def retype(maker: Maker) -> list[str]:
    """A column with another type, default, identity or NOT NULL."""
    if not maker.tables:
        return []
    each = maker.pick(maker.tables)
    column = maker.pick(list(each.columns))
    steps = ["DROP DEFAULT", "DROP NOT NULL", "SET NOT NULL", "DROP IDENTITY IF EXISTS", "DROP EXPRESSION IF EXISTS"]
    steps += [f"TYPE {kind} USING NULL::{kind}" for kind in ("text", "bigint", "integer", "jsonb", *maker.types[-1:])]
    steps += ['TYPE text COLLATE "C"', "ADD GENERATED BY DEFAULT AS IDENTITY", "SET GENERATED ALWAYS SET START 7"]
    steps += [f"SET DEFAULT {maker.pick(TYPES[each.columns[column]])}"] if each.columns[column] in TYPES else []
    return [f"ALTER TABLE {each.name} ALTER COLUMN {column} {maker.pick(steps)}"]


def other_type(maker: Maker) -> list[str]:
    """An enum with another label, a domain with another check, a composite type with another attribute."""
    choices = [
        step
        for each in maker.types
        for step in (
            f"ALTER TYPE {each} ADD VALUE 'new' BEFORE 'Good'",
            f"ALTER TYPE {each} RENAME VALUE 'bad' TO 'worse'",
            f"DROP TYPE {each} CASCADE; CREATE TYPE {each} AS ENUM ('Good', 'bad')",
            f"ALTER TYPE {each} ADD ATTRIBUTE added integer CASCADE",
            *(
                f"ALTER TABLE {made.name} ALTER COLUMN {column} SET DEFAULT 'new'"
                for made in maker.tables
                for column in made.of_type(each)
            ),
        )
    ]
    choices += [
        step
        for each in maker.domains
        for step in (
            f"ALTER DOMAIN {each} ADD CONSTRAINT more CHECK (VALUE < 1000)",
            f"ALTER DOMAIN {each} SET DEFAULT 4",
            f"ALTER DOMAIN {each} DROP NOT NULL",
        )
    ]
    return [maker.pick(choices)] if choices else []


def replaced(maker: Maker) -> list[str]:
    """A function or a view with another body, a sequence with other numbers."""
    choices = [
        f"CREATE OR REPLACE FUNCTION {each}(n integer) RETURNS integer IMMUTABLE LANGUAGE sql {body}"
        for each in maker.functions
        for body in (
            "RETURN n + 7",
            "AS $$ SELECT n - 1 $$",
            *(f"RETURN CASE WHEN n > 0 THEN {other}(n - 1) END" for other in maker.functions[:1]),
        )
    ]
    choices += [f"ALTER FUNCTION {each} STABLE" for each in maker.functions]
    choices += [f"CREATE OR REPLACE VIEW {each.name} AS SELECT 1 AS other" for each in maker.views]
    choices += [f"ALTER VIEW {each.name} SET (security_barrier=true)" for each in maker.views]
    choices += [f"ALTER SEQUENCE {each} INCREMENT 3 MAXVALUE 900 OWNED BY NONE" for each in maker.sequences]
    return [maker.pick(choices)] if choices else []


def moved(maker: Maker) -> list[str]:
    """A partition detached or attached, an heir with other parents."""
    partitioned = [each for each in maker.tables if each.partitioned]
    choices = [
        f"ALTER TABLE {each.name} {verb} PARTITION {other.name}{bound}"
        for each in partitioned
        for other in maker.tables
        for verb, bound in (("DETACH", ""), ("ATTACH", " DEFAULT"), ("ATTACH", " FOR VALUES IN (77)"))
        if set(other.columns) == set(each.columns) and other is not each
    ]
    choices += [
        f"ALTER TABLE {each.name} {verb} {other.name}"
        for each in maker.tables
        for other in maker.tables
        for verb in ("INHERIT", "NO INHERIT")
        if set(other.columns) < set(each.columns)
    ]
    choices += [f"ALTER TABLE {each.name} RENAME TO {maker.name('t')}" for each in maker.tables]
    return [maker.pick(choices)] if choices else []


#: What is drawn; tables more often than the rest.
ACTIONS: tuple[Action, ...] = (
    *(table,) * 5,
    *(partitioned,) * 2,
    *(function, view, reference, index) * 2,
    *(enum, domain, composite, typed_table, sequence, routine, default, exclusion, circle, trigger, rule, policy),
    *(statistics, operators, searches, setting, change, foreign_table, comment, grant, default_privilege),
)


@st.composite
def schemas(draw: Callable[[st.SearchStrategy[T]], T]) -> list[str]:
    """Draw the statements of a schema."""
    maker = Maker(draw)  # type: ignore[arg-type]
    actions: list[Action] = [table, *draw(st.lists(st.sampled_from(ACTIONS), min_size=8, max_size=40))]  # type: ignore[arg-type, misc]
    return [statement for action in actions for statement in action(maker)]


#: What changes a schema; what makes more of it as well.
CHANGES: tuple[Action, ...] = (
    *(drop, retype, change, setting, other_type, replaced, moved) * 4,
    *(table, partitioned, function, view, reference, index, trigger, policy, default, comment, grant, sequence, rule),
)


@st.composite
def changes(draw: Callable[[st.SearchStrategy[T]], T]) -> tuple[list[str], list[str]]:
    """Draw the statements of a schema, and those of its change."""
    maker = Maker(draw)  # type: ignore[arg-type]
    made: list[Action] = [table, *draw(st.lists(st.sampled_from(ACTIONS), min_size=5, max_size=30))]  # type: ignore[arg-type, misc]
    changed: list[Action] = draw(st.lists(st.sampled_from(CHANGES), min_size=2, max_size=20))  # type: ignore[arg-type, assignment]
    first = [statement for action in made for statement in action(maker)]
    return first, [statement for action in changed for statement in action(maker)]
