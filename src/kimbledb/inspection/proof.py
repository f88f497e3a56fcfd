"""The proof by looking up: the statement that looks up what a migration declares, and its faults as checks.

An object that a transaction made from its declared statement needs no comparison: it is looked up by name, and must be
valid and owned by whom it must be. The same statement gives the form of each object that has expressions, for history.
``sql/queries/proof/`` has one lookup for each kind of object, and a statement holds those that it needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache

from attrs import define, field, frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.inspection.snapshot import spelled
from kimbledb.model.check import Check
from kimbledb.model.declarations import DeclaredStatement
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.objects import PARTS, DatabaseObject, has_expressions, parts_of, quoted
from kimbledb.model.state import DatabaseState
from kimbledb.planning.fold import split
from kimbledb.server import queries
from kimbledb.server.search_path import path_of, trusted

#: The kinds that one lookup finds by the relations themselves.
_RELATIONS = frozenset({"table", "view", "sequence"})
#: The kinds that are found by the name of a relation, which is their own.
_BY_RELATION = _RELATIONS | {"index"}
#: The catalog of each kind that has a name in a schema and no lookup of its own, and the prefix of its columns.
_NAMED = {
    "collation": ("pg_collation", "coll", "named"),
    "conversion": ("pg_conversion", "con", "named"),
    "text search parser": ("pg_ts_parser", "prs", "unowned"),
    "text search template": ("pg_ts_template", "tmpl", "unowned"),
    "text search dictionary": ("pg_ts_dict", "dict", "named"),
    "text search configuration": ("pg_ts_config", "cfg", "named"),
    "operator class": ("pg_opclass", "opc", "of_method"),
    "operator family": ("pg_opfamily", "opf", "of_method"),
}
#: Kinds that have expressions.
_PRINTED = frozenset(
    {"table", "column", "constraint", "index", "function", "view", "trigger", "rule", "policy", "type", "statistics"}
)
#: The forms that read more than the object's own row, or a part of it.
_WRAPPED = frozenset({"relations", "column", "constraint", "check", "index", "where", "trigger", "rule"})
#: Forms that are a part of another, and cost less.
_PARTIAL = {"check": "constraint", "where": "index"}
_QUOTED_NAME = re.compile(r"\{quoted:([^{}]+)\}")
_PRINTED_NAME = re.compile(r"\{printed:([^{}]+)\}")
#: The object and the role of a privilege's name.
_GRANT = re.compile(r'(?P<object>.+) to (?P<role>"(?:[^"]|"")*"|[^\s"]+)', re.DOTALL)
#: The settings for which a block with lookups has places of its own.
_GIVEN = ("relations", "homes", "granted", "states")
#: The codes of the system catalogs for when a trigger or a rule fires.
_ENABLED = {"disabled": "D", "replica": "R", "always": "A"}
_ENABLED_WORDS = {"O": "enabled", "D": "disabled", "R": "enabled on replicas only", "A": "enabled always"}
#: An element that needs no quotes in an array: neither empty nor the word null.
_PLAIN = re.compile(r"(?!null$)[a-z_][a-z0-9_. ]*[a-z0-9_]")
_AGAIN = "correct the script, or record its declarations again: kimbledb declare"
#: For each fault what was expected, what was found, and the cure.
_FAULTS = {
    "missing": ("exists after {at}", "missing", f"that statement did not make it on this server: {_AGAIN}"),
    "there": ("gone after {at}", "still exists", f"that statement did not drop it on this server: {_AGAIN}"),
    "not valid": (
        "a constraint that holds for all rows",
        "not valid: existing rows were not checked",
        f"validate it in the script (ALTER TABLE ... VALIDATE CONSTRAINT); else {_AGAIN}",
    ),
    "invalid": (
        "a valid index",
        "an index that is not valid, which queries do not use",
        "an earlier attempt may have left it: drop the index, or the constraint that it belongs to, and run again",
    ),
    "enabled": ("{enabled}", "{detail}", _AGAIN),
    "owner": (
        "owned by the role that runs the migration, or by a role that it trusts",
        "belongs to {detail}",
        "take the change of owner out of the script, or make the role that runs it a member of the owner",
    ),
    "lacks": ("granted as declared", "not granted: {detail}", _AGAIN),
}


@frozen
class Declared:
    """An object that a migration declares for one platform, and the statement that declares it."""

    #: The object, with its facts after the migration if it stays.
    each: DatabaseObject
    statement: DeclaredStatement
    #: Whether it must be gone after the migration.
    gone: bool = False

    @property
    def key(self) -> str:
        """Its kind and name, as in the record of forms."""
        return f"{self.each.kind} {self.each.name}"

    @property
    def is_printed(self) -> bool:
        """Whether it has a form. An object whose facts are not known may have one."""
        each = self.each
        return not self.gone and (each.kind in _PRINTED if each.facts is None else has_expressions(each.facts))

    @property
    def is_reached(self) -> bool:
        """Whether it belongs to another schema than the target, whose name is then in front of its own."""
        kind, name = self.each.key
        return len(parts_of(name)) > (2 if kind in PARTS else 1)

    @property
    def state(self) -> str:
        """Its declared state, or an empty text if that is the usual one: valid, and enabled."""
        facts = self.each.facts or {}
        if self.each.kind in ("trigger", "rule"):
            return _ENABLED.get(str(facts.get("enabled")), "")
        return "not valid" if {"not_valid", "not_enforced", "invalid"} & facts.keys() else ""


def declared_by(migration: Migration, *, hosted: bool) -> list[Declared]:
    """Return the declared objects of a migration for a platform: those that must exist after it, and those that must be gone.

    Args:
        migration: The migration.
        hosted: Whether the database is a hosted one.
    """
    statements = migration.declarations.on(hosted=hosted)
    found = {
        made.key: Declared(made, statement)
        for statement in statements
        for made in (*statement.creates, *statement.changes)
    }
    for statement in statements:
        for (kind, _), name in statement.renames.items():
            found.setdefault((kind, name), Declared(DatabaseObject(kind, name), statement))
    # Two objects may change names: a name is gone if no other object has it.
    for statement in statements:
        for key in (*(each.key for each in statement.drops), *statement.renames):
            found.setdefault(key, Declared(DatabaseObject(*key), statement, gone=True))
    return list(found.values())


@frozen
class Site:
    """The session in which objects are looked up and their expressions printed."""

    #: The target schema.
    schema: str
    #: The schemas of the search_path under which expressions are printed.
    path: Sequence[str]
    #: The schemas that migrations declare to reach: the owners of these are trusted as well.
    reached: Sequence[str]
    #: The version of the server, as ``server_version_num``.
    version: int
    #: The system identifier of its cluster.
    system: int

    @classmethod
    def of(cls, state: DatabaseState, schema: str, catalog: Catalog) -> Site:
        """Return the site of a database.

        Args:
            state: The state of the database.
            schema: The target schema.
            catalog: The migrations of the call.
        """
        path = state.search_path(schema, catalog.extensions)
        return cls(schema, path, schemas_reached(catalog), state.version_number, state.system)

    @property
    def origin(self) -> str:
        """The expression that gives the origin of forms that are printed here."""
        return queries.filled(
            "origin", server=str(self.version), system=str(self.system), history=_history(self.schema)
        )


def statement(declared: Iterable[Declared], site: Site, *, judging: bool, left: Collection[str] = ()) -> str:
    """Return the statement that looks up objects, and sets ``kimbledb.forms`` to the record of their forms.

    Args:
        declared: The objects, as ``declared_by()`` gives them.
        site: The session in which they are looked up.
        judging: Whether a fault is an error. Otherwise only the forms are wanted.
        left: The objects that need not be as declared, each as ``Declared.key``: they were there before, and stay.
    """
    lookups = _lookups_of(declared, site, judging=judging)
    if lookups.is_empty:
        return queries.filled("no_forms", origin=site.origin)
    values = {name: quote_literal(value) for name, value in lookups.handed(left).items()}
    return _statement(lookups, values, site, judging=judging)


def statement_of_several(
    several: Sequence[tuple[Iterable[Declared], Collection[str]]], site: Site, *, judging: bool
) -> tuple[list[dict[str, str]], str]:
    """Return one statement for the objects of several transactions, as ``statement()`` does for those of one.

    Args:
        several: The objects of each transaction, and those that need not be as declared.
        site: The session in which they are looked up.
        judging: Whether a fault is an error.

    Returns:
        What is to be handed to it in each transaction as ``kimbledb.declared``, and the statement.
    """
    each_of = [_lookups_of(declared, site, judging=judging) for declared, _ in several]
    union = _Lookups(site.schema)
    for lookups in each_of:
        union.include(lookups)
    values = {name: f"(declared->>{quote_literal(name)})" for name in union.handed()}
    nothing = dict.fromkeys(values, "{}")
    handed = [nothing | lookups.handed(left) for lookups, (_, left) in zip(each_of, several, strict=True)]
    return handed, _statement(union, values, site, judging=judging)


def _lookups_of(declared: Iterable[Declared], site: Site, *, judging: bool) -> _Lookups:
    lookups = _Lookups(site.schema)
    for each in declared:
        if judging or each.is_printed:
            lookups.add(each)
    return lookups


def _statement(lookups: _Lookups, values: Mapping[str, str], site: Site, *, judging: bool) -> str:
    """Return the statement of some lookups.

    Args:
        lookups: The lookups.
        values: The expressions that give what ``_Lookups.handed()`` gives, by its names.
        site: The session in which objects are looked up.
        judging: As for ``statement()``.
    """
    return queries.block(
        "prove_objects",
        **lookups.values(values),
        path=quote_literal(path_of(site.path)),
        origin=site.origin,
        judging=str(judging).lower(),
        faults=quote_literal(queries.filled("prove_objects_faults", trusted=trusted(site.reached))),
    )


def lookup_values(objects: Iterable[DatabaseObject], schema: str) -> dict[str, str]:
    """Return the values of a block that looks up which of some objects exist, by its placeholders; empty for none.

    Args:
        objects: The objects: no comments and no privileges.
        schema: The target schema.
    """
    lookups = _Lookups(schema)
    for each in objects:
        # Of what is gone no form is wanted.
        lookups.add(Declared(each, DeclaredStatement("apply", 1), gone=True))
    if lookups.is_empty:
        return {}
    return lookups.values({name: quote_literal(value) for name, value in lookups.handed().items()})


def checks_of(faults: Iterable[Sequence[str]], migration: Migration, *, hosted: bool) -> list[Check]:
    """Return the faults that the block found as failed checks, in the order of the statements.

    Args:
        faults: The detail of the block's error.
        migration: The migration whose objects it looked up.
        hosted: Whether the database is a hosted one.
    """
    found = {key: (fault, detail) for key, fault, detail in faults}
    return [
        _check(each, *found[each.key], migration)
        for each in sorted(
            declared_by(migration, hosted=hosted), key=lambda each: (each.statement.part, each.statement.line)
        )
        if each.key in found
    ]


def _check(item: Declared, fault: str, detail: str, migration: Migration) -> Check:
    at = f"{migration.script(item.statement.part).file_name}:{item.statement.line}"
    expected, found, hint = _FAULTS[fault]
    words = {"detail": _ENABLED_WORDS.get(detail, detail), "at": at, "enabled": _ENABLED_WORDS[item.state or "O"]}
    return Check(
        migration.name,
        str(item.each),
        passed=False,
        expected=expected.format(**words),
        found=found.format(**words),
        hint=hint.format(**words),
        file=migration.file(item.statement.part),
        line=item.statement.line,
    )


@define
class _Lookup:
    """The result of one lookup."""

    #: The names of the objects, without quotes.
    own: dict[str, None] = field(factory=dict)
    #: The names of those whose expressions are printed.
    printed: dict[str, None] = field(factory=dict)
    #: The form that is wanted, or None.
    form: str | None = None

    def want(self, form: str) -> None:
        """Want a form: where others are wanted of which it is a part, or that are a part of it, the whole."""
        self.form = form if self.form in (None, form) else _PARTIAL.get(form, form)

    def include(self, other: _Lookup) -> None:
        """Look for what another lookup finds, too."""
        self.own |= other.own
        self.printed |= other.printed
        if other.form is not None:
            self.want(other.form)

    @property
    def is_plain(self) -> bool:
        """Whether no name needs quotes."""
        return all(quoted(each) == each for each in self.own)


@define
class _Lookups:
    """The lookups that find declared objects."""

    schema: str
    #: The name of each relation as objects have it, by its name as the server reads it.
    relations: dict[str, str] = field(factory=dict)
    #: The schemas of objects that are found by their name in a schema.
    homes: dict[str, None] = field(factory=dict)
    #: The required grants, by the key of the privilege.
    granted: dict[str, Sequence[str]] = field(factory=dict)
    wanted: list[str] = field(factory=list)
    gone: list[str] = field(factory=list)
    #: The keys of the objects whose forms are wanted.
    printed: list[str] = field(factory=list)
    states: dict[str, str] = field(factory=dict)
    _lookups: dict[str, _Lookup] = field(factory=dict)
    #: The relations among ``relations``, as objects have their names.
    _placed: dict[str, None] = field(factory=dict)

    def add(self, item: Declared) -> None:
        """Add an object, unless its kind is not looked up."""
        each = item.each
        if each.kind == "comment":
            return
        if each.kind in ("privilege", "default privilege"):
            if not self._add_grant(item):
                return
        else:
            own = self._place(each.kind, each.name)
            lookup = self._lookup("relations" if each.kind in _RELATIONS else each.kind)
            lookup.own[own] = None
            if item.is_printed:
                lookup.printed[each.name if each.kind in _BY_RELATION else own] = None
                lookup.want(_form_of(each))
                self.printed.append(item.key)
            if state := item.state:
                self.states[item.key] = state
        (self.gone if item.gone else self.wanted).append(item.key)

    def _lookup(self, name: str) -> _Lookup:
        found = self._lookups.get(name)
        if found is None:
            found = self._lookups[name] = _Lookup()
        return found

    def _place(self, kind: str, name: str) -> str:
        """Note the relation or the schema by which an object is found, and return its own name."""
        if kind in PARTS or kind in _BY_RELATION:
            relation, own = (
                (name, "") if kind in _BY_RELATION else name.rsplit(".", 1) if '"' not in name else split(name)
            )
            if relation not in self._placed:
                self._placed[relation] = None
                *homes, last = parts_of(relation)
                self.relations[f"{quoted(homes[0] if homes else self.schema)}.{quoted(last)}"] = relation
            return own if '"' not in own else parts_of(own)[0]
        parts = parts_of(name.partition(" using ")[0] if kind in ("operator class", "operator family") else name)
        self.homes[parts[-2] if len(parts) > 1 else self.schema] = None
        return parts[-1]

    def _add_grant(self, item: Declared) -> bool:
        """Add a privilege, and return whether it is looked up."""
        match = _GRANT.fullmatch(item.each.name)
        may = (item.each.facts or {}).get("may", ())
        # A right that an owner or PUBLIC lacks is no entry of an access list.
        if match is None or match["role"] == "owner" or not (item.gone or may):
            return False
        described = match["object"]
        if item.each.kind == "default privilege":
            self.homes[self.schema] = None
            lookup, own = "list_of_default", ""
        elif described == "schema":
            lookup, own = "list_of_schema", self.schema
        else:
            on = DatabaseObject.of(described)
            lookup = "list_of_relation" if on.kind in _RELATIONS else f"list_of_{on.kind}"
            own = self._place(on.kind, on.name)
        self._lookup(lookup).own[own] = None
        if not item.gone:
            self.granted[item.key] = may if isinstance(may, tuple) else (str(may),)
        return True

    def include(self, others: _Lookups) -> None:
        """Look for what other lookups find, too."""
        for name, lookup in others._lookups.items():
            self._lookup(name).include(lookup)
        self.homes |= others.homes

    @property
    def is_empty(self) -> bool:
        """Whether nothing is looked up."""
        return not self._lookups

    def handed(self, left: Collection[str] = ()) -> dict[str, str]:
        """Return the values of the lookups, by the names of their variables: arrays, and objects of JSON, as the server reads them.

        Args:
            left: As for ``statement()``.
        """
        return {
            "names": _array(self.relations.values()),
            "relations": _array(self.relations),
            "spaces": _array("" if home == self.schema else f"{quoted(home)}." for home in self.homes),
            "homes": _array(map(quoted, self.homes)),
            "wanted": _array(each for each in self.wanted if each not in left),
            "gone": _array(each for each in self.gone if each not in left),
            "printed": _array(self.printed),
            "granted": json.dumps(self.granted),
            "states": json.dumps(self.states),
            **{_own(name): _array(lookup.own) for name, lookup in self._lookups.items()},
            **{_printed(name): _array(lookup.printed) for name, lookup in self._lookups.items() if lookup.form},
        }

    def values(self, handed: Mapping[str, str]) -> dict[str, str]:
        """Return the values of the placeholders of a block with the lookups.

        Args:
            handed: The expressions that give what ``handed()`` gives, by its names.
        """
        # A single lookup would be taken into the query around it, and its expressions be computed several times.
        texts = "\nUNION ALL\n".join([*self._texts(), queries.text_of("proof/nothing")])
        given = {name: handed[name] for name in _GIVEN}
        arrays = "".join(
            f"    {name} constant text[] := {value}::text[];\n" for name, value in handed.items() if name not in _GIVEN
        )
        return {**given, "arrays": arrays, "lookups": texts}

    def _texts(self) -> list[str]:
        """Return the text of each lookup."""
        lists = {name: lookup for name, lookup in self._lookups.items() if name.startswith("list_of_")}
        texts = [
            queries.fill(_text(name, plain=lookup.is_plain, form=lookup.form), own=_own(name), printed=_printed(name))
            for name, lookup in self._lookups.items()
            if name not in lists
        ]
        if lists:
            entries = "\nUNION ALL\n".join(
                queries.fill(
                    _text(name, plain=lookup.is_plain),
                    own=_own(name),
                    history=_history(self.schema),
                    target=quote_literal(self.schema),
                )
                for name, lookup in lists.items()
            )
            texts.append(queries.fill(_text("privilege"), lists=entries))
        return texts


def _own(lookup: str) -> str:
    """Return the name of the variable that holds the names of the objects that a lookup finds."""
    return f"sought_{lookup.replace(' ', '_')}"


def _printed(lookup: str) -> str:
    """Return the name of the variable that holds the names of those whose expressions are printed."""
    return f"printed_{lookup.replace(' ', '_')}"


def _form_of(each: DatabaseObject) -> str:
    """Return the form that is wanted of an object."""
    facts = each.facts or {}
    if each.kind == "constraint" and "check" in facts:
        return "check"
    columns = facts.get("columns")
    if each.kind == "index" and isinstance(columns, tuple) and not any(each.startswith("(") for each in columns):
        return "where"
    return "relations" if each.kind in _RELATIONS else each.kind


@cache
def _text(lookup: str, *, plain: bool = False, form: str | None = None) -> str:
    """Return a lookup of ``sql/queries/proof``, with the placeholders of the values.

    Args:
        lookup: The lookup, or the kind of object that it finds.
        plain: Whether no name that it looks for needs quotes.
        form: The form that is wanted of some objects, a file of ``objects/forms`` or ``proof/form_of_``; None for none.
    """
    catalog, prefix, file = _NAMED.get(lookup, ("", "", lookup))
    text = queries.filled(f"proof/{file}", catalog=catalog, prefix=prefix, kind=lookup)
    expressions = "NULL::jsonb"
    if form is not None:
        form = queries.text_of(f"proof/form_of_{form}") if form in _WRAPPED else f"{{form:{form}}}"
        expressions = queries.filled("proof/printed", form=form)
    text = _PRINTED_NAME.sub(lambda found: expressions.replace("{x}", found[1]), text)
    # Other names of the relation are found as they are, and match no key.
    return spelled(_QUOTED_NAME.sub(r"\1", text) if plain else text)


def _history(schema: str) -> str:
    return quote_literal(f"{quote_identifier(schema)}.migration_history")


def _array(values: Iterable[str]) -> str:
    """Return an array as the server reads it."""
    shown = ",".join(
        value if _PLAIN.fullmatch(value) else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for value in values
    )
    return f"{{{shown}}}"
