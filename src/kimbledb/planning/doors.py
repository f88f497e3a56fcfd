"""Doors: what another hand left on what a closed catalog declares, and what has to go so that it is closed. Pure.

Row level security lets a row through where any permissive policy does, and whoever has a privilege needs no declaration.
So a policy, a privilege, a view or a function that nobody declares opens what the declared ones close. An old check or NOT
NULL refuses what the declared column accepts, and an overload of a declared function makes its named calls ambiguous.

Tables that nobody declares are the application's. Where all their rows are open to people, people lose their privileges on
them, and the role of a service keeps its own.

Nothing here loses a row. What only closes stays: restrictive policies, policies and privileges of other roles, unique keys.
Triggers and rules stay, too, and are named where they act with their owner's rights: what they do may be wanted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property

from attrs import define, field, frozen

from kimbledb.model.forms import Forms
from kimbledb.model.names import words_in
from kimbledb.model.objects import SAID_OF_OTHERS, DatabaseObject, Facts, Key, has_expressions, parts_of
from kimbledb.planning.closed import CLOSED_TO, undeclared
from kimbledb.planning.fold import RELATIONS, Belongings, columns_of, granted, split
from kimbledb.planning.writer.names import texts

#: A string constant and the type of a cast, whose words are no names of columns.
_NO_COLUMN = re.compile(
    r"""'(?:[^']|'')*'|::(?:character varying|double precision|(?:timestamp|time)(?:\(\d\))? with(?:out)? time zone|"[^"]*"|[\w.]+)"""
)
#: The option by which a view reads with the rights of its reader.
_INVOKER = re.compile(r"security_invoker=(true|on|1|yes)\Z", re.IGNORECASE)
#: The role by which an application comes past row level security.
_SERVICE = "service_role"
#: The privileges that no policy holds.
_PAST_POLICIES = ("truncate", "references", "trigger", "maintain")
#: The facts of a column that give a row a value.
_GIVES_A_VALUE = frozenset({"default", "identity", "generated"})


@frozen
class Closing:
    """The statements that close a schema to other roles."""

    #: The objects that are dropped: policies, functions, checks.
    dropped: tuple[Key, ...] = ()
    #: Their comments and privileges.
    along: frozenset[Key] = frozenset()
    #: The privileges that are taken back.
    revoked: tuple[Key, ...] = ()
    #: The later facts of objects that stay: a policy without the roles that it opened to; EXECUTE taken from PUBLIC.
    changed: Mapping[Key, Facts] = field(factory=dict)
    #: The privileges by which the role of a service keeps what it had as one of everybody.
    granted: Mapping[Key, Facts] = field(factory=dict)
    #: The objects that would have to go and cannot, with those that need them.
    needed: Mapping[Key, tuple[Key, ...]] = field(factory=dict)
    #: The objects that stay though they act with their owner's rights, each with the reason.
    left: Mapping[Key, str] = field(factory=dict)


@frozen
class Others:
    """The objects of other catalogs whose migrations the same history records."""

    #: The objects that history records for them.
    known: frozenset[Key] = frozenset()
    #: Whether there are any such catalogs.
    there: bool = False

    @classmethod
    def of(cls, forms: Forms, names: Collection[str]) -> Others:
        """Return the objects that history records for migrations of other catalogs.

        Args:
            forms: The forms that history records.
            names: The names of the migrations of this catalog.
        """
        others = [record for name, record in forms.recorded.items() if name not in names]
        return cls(frozenset(key for record in others for key in record.forms), bool(others))

    def may_have_made(self, key: Key, facts: Facts) -> bool:
        """Return whether another catalog made an object, or may have: history records no form of what has no expression.

        Args:
            key: The object.
            facts: Its facts.
        """
        return key in self.known or (self.there and not has_expressions(facts))


# Without slots: the properties below are computed once.
@define(slots=False, eq=False, kw_only=True)
class Doors:
    """The objects of a schema beside those that a closed catalog declares."""

    #: The objects, each with its facts.
    objects: Mapping[Key, Facts]
    #: The declarations of all migrations of the catalog, applied or not: their objects stay.
    declared: Collection[Key]
    #: The declarations of the migration: its tables and functions are examined.
    homes: Collection[Key]
    #: The roles of people: what they may is declared.
    people: Collection[str] = CLOSED_TO
    #: Whether the database has the role of a service.
    hosted: bool = False
    #: Names another catalog's objects.
    others: Others = field(factory=Others)

    @cached_property
    def _tables(self) -> frozenset[str]:
        return frozenset(name for kind, name in self.homes if kind == "table" and ("table", name) in self.objects)

    def _strange(self, kind: str) -> Iterator[tuple[str, Facts]]:
        """Yield the objects of a kind that nobody declares."""
        for key, facts in self.objects.items():
            if key[0] == kind and key not in self.declared and not self.others.may_have_made(key, facts):
                yield key[1], facts

    def policies(self) -> dict[str, tuple[str, ...]]:
        """Return the policies on the migration's tables that let people through, each with its other roles."""
        found = {}
        for name, facts in self._strange("policy"):
            roles = facts.get("to", ("public",))
            named = roles if isinstance(roles, tuple) else (str(roles),)
            if (
                split(name)[0] in self._tables
                and not facts.get("restrictive")
                and not set(self.people).isdisjoint(named)
            ):
                found[name] = tuple(each for each in named if each not in self.people)
        return found

    def overloads(self) -> list[str]:
        """Return the functions that have the name of one of the migration's, and other arguments."""
        names = {parts_of(name) for kind, name in self.homes if kind == "function"}
        return [name for name, _ in self._strange("function") if parts_of(name) in names]

    def checks(self) -> list[str]:
        """Return the checks that refuse what declared columns are declared to accept.

        They are on one declared column, or on the columns of a declared check. Others relate columns, and stay.
        """
        found = []
        for name, facts in self._strange("constraint"):
            table = split(name)[0]
            if table not in self._tables or "check" not in facts or facts.get("inherited"):
                continue
            own = self._checked(name, facts)
            if (len(own) == 1 and all(key in self.declared for key in own)) or (own and own in self._declared_checks):
                found.append(name)
        return found

    @cached_property
    def _declared_checks(self) -> frozenset[frozenset[Key]]:
        """The columns of each declared check on the migration's tables."""
        return frozenset(
            self._checked(name, facts)
            for (kind, name), facts in self.objects.items()
            if kind == "constraint"
            and "check" in facts
            and (kind, name) in self.declared
            and split(name)[0] in self._tables
        )

    def _checked(self, name: str, facts: Facts) -> frozenset[Key]:
        """Return the columns of its table that a check names."""
        words = words_in(_NO_COLUMN.sub("''", str(facts["check"])))
        columns = self._columns.get(split(name)[0], ())
        return frozenset(key for key in columns if parts_of(split(key[1])[1])[-1] in words)

    @cached_property
    def _columns(self) -> Mapping[str, list[Key]]:
        found: dict[str, list[Key]] = {}
        for key in self.objects:
            if key[0] == "column":
                found.setdefault(split(key[1])[0], []).append(key)
        return found

    def demanding(self) -> list[str]:
        """Return the columns of the migration's tables that nobody declares, and that an INSERT must give a value."""
        return list(wanting_values(self.objects, self._tables, self.declared))

    def removals(self) -> Iterator[str]:
        """Yield in words what has to go from the migration's own tables and beside its functions, for evidence."""
        yield from (f"policy {name}" for name in self.policies())
        yield from (f"constraint {name}" for name in self.checks())
        yield from (f"NOT NULL of column {name}" for name in self.demanding())
        yield from (f"function {name}" for name in self.overloads())

    def closing(self, needs: Mapping[Key, Collection[Key]]) -> Closing:
        """Return what closes the doors.

        Args:
            needs: The objects that each object needs, by the server's record.
        """
        policies = self.policies()
        going: list[Key] = [("policy", name) for name, others in policies.items() if not others]
        going += [("constraint", name) for name in self.checks()]
        overloads: list[Key] = [("function", name) for name in self.overloads()]
        users = {key: tuple(_users(key, needs, {*going, *overloads})) for key in overloads}
        needed = {key: those for key, those in users.items() if those}
        going += [key for key in overloads if key not in needed]
        along = frozenset(Belongings(self.objects).of(going))
        changed: dict[Key, Facts] = {
            ("policy", name): {**self.objects["policy", name], "to": others}
            for name, others in policies.items()
            if others
        }
        standing = [key for key in (*self._views(), *self._functions(needs)) if key not in going]
        granted = {}
        for kind, name in standing:
            everybody, service = (("privilege", f"{kind} {name} to {role}") for role in ("public", _SERVICE))
            if kind == "function" and everybody not in self.objects:
                changed[everybody] = {"lacks": ("execute",)}
                if self.hosted and service not in self.objects:
                    granted[service] = {"may": ("execute",)}
        # The application keeps access to its own objects as the service's role.
        people = set(self.people) - {_SERVICE}
        closed = [*standing, *self._tables_for_all()]
        revoked = [
            *undeclared(self.objects, self.declared, self.homes, self.people),
            *undeclared(self.objects, self.declared, closed, people),
        ]
        for key, may in self._narrowed(needs, closed):
            if may:
                changed[key] = {**self.objects[key], "may": may}
            else:
                revoked.append(key)
        return Closing(
            tuple(going),
            along,
            tuple(key for key in revoked if key not in along),
            changed,
            granted,
            needed,
            dict(self._acting(needs)),
        )

    def _views(self) -> Iterator[Key]:
        """Yield the views that nobody declares and that read with the rights of their owner."""
        for name, facts in self._strange("view"):
            options = facts.get("options", ())
            if not (isinstance(options, tuple) and any(map(_INVOKER.match, options))):
                yield "view", name

    def _functions(self, needs: Mapping[Key, Collection[Key]]) -> Iterator[Key]:
        """Yield the functions that nobody declares and that do what their owner may.

        A trigger needs no privilege to call its own. People could hang such a function on a table of theirs.
        """
        for name, facts in self._strange("function"):
            inner = (self.objects.get(need, {}) for need in needs.get(("function", name), ()) if need[0] == "function")
            # An aggregate calls its functions with its owner's rights.
            owner = facts.get("security_definer") or (
                facts.get("kind") == "aggregate" and any(each.get("security_definer") for each in inner)
            )
            if owner:
                yield "function", name

    def _tables_for_all(self) -> Iterator[Key]:
        """Yield the tables that nobody declares and whose rows people see all: by a policy, or without any."""
        through = {split(name)[0] for name, facts in self._strange("policy") if self._lets_all_through(facts)}
        for name, facts in self._strange("table"):
            if name in through or not facts.get("row_security"):
                yield "table", name

    def _lets_all_through(self, facts: Facts) -> bool:
        roles = facts.get("to", ("public",))
        conditions = [facts[fact] for fact in ("using", "with_check") if fact in facts]
        return (
            not facts.get("restrictive")
            and isinstance(roles, tuple)
            and not set(self.people).isdisjoint(roles)
            and "true" in conditions
        )

    def _narrowed(
        self, needs: Mapping[Key, Collection[Key]], closed: Collection[Key]
    ) -> Iterator[tuple[Key, tuple[str, ...]]]:
        """Yield the privileges on objects that stay open of which people lose some, each with what they keep.

        Args:
            needs: The objects that each object needs, by the server's record.
            closed: The relations on which they lose all.
        """
        people = set(self.people) - {_SERVICE}
        relations = [
            (kind, name) for kind in RELATIONS for name, _ in self._strange(kind) if (kind, name) not in closed
        ]
        for key in undeclared(self.objects, self.declared, relations, people):
            has = texts(self.objects[key], "may")
            kept = tuple(each for each in has if not each.startswith(_PAST_POLICIES))
            if kept != has:
                yield key, kept
        tables = self._tables | {name for kind, name in closed if kind == "table"}
        sequences = {key: table for key, table in self._counted(needs) if table in tables}
        counting = self._counting(needs)
        for key in undeclared(
            self.objects, self.declared, [each for each in sequences if each not in self.homes], self.people
        ):
            described, role = granted(key[1])
            sequence = DatabaseObject.of(described).key
            inserting = sequence in counting and any(
                each.startswith("insert")
                for facts in self._granted_on(sequences[sequence], role)
                for each in texts(facts, "may")
            )
            has = texts(self.objects[key], "may")
            kept = tuple(each for each in has if inserting and each.startswith("usage"))
            if kept != has:
                yield key, kept

    def _granted_on(self, table: str, role: str) -> Iterator[Facts]:
        """Yield what a role may do with a table and its columns afterwards."""
        for each in (("table", table), *self._columns.get(table, ())):
            key = ("privilege", f"{each[0]} {each[1]} to {role}")
            if key in self.objects and (key in self.declared or ("table", table) not in self.declared):
                yield self.objects[key]

    def _counted(self, needs: Mapping[Key, Collection[Key]]) -> Iterator[tuple[Key, str]]:
        """Yield the sequences with the tables whose columns own them, or take or took their values from them."""
        for key, facts in self.objects.items():
            if key[0] == "sequence" and "owned_by" in facts:
                yield key, split(str(facts["owned_by"]))[0]
        for key, those in needs.items():
            if key[0] == "column":
                yield from (
                    (need, split(key[1])[0]) for need in those if need[0] == "sequence" and need in self.objects
                )

    def _counting(self, needs: Mapping[Key, Collection[Key]]) -> frozenset[Key]:
        """Return the sequences from which a column still takes its values."""
        return frozenset(
            need
            for key, those in needs.items()
            if key[0] == "column" and "nextval(" in str(self.objects.get(key, {}).get("default", ""))
            for need in those
        )

    def _acting(self, needs: Mapping[Key, Collection[Key]]) -> Iterator[tuple[Key, str]]:
        """Yield the triggers and rules of another hand on the migration's tables that act with their owner's rights."""
        for name, _ in self._strange("rule"):
            if split(name)[0] in self._tables:
                yield ("rule", name), "it is another hand's, and acts with the rights of the table's owner"
        for name, _ in self._strange("trigger"):
            calls = (self.objects.get(need, {}) for need in needs.get(("trigger", name), ()) if need[0] == "function")
            if split(name)[0] in self._tables and any(each.get("security_definer") for each in calls):
                yield (
                    ("trigger", name),
                    "it is another hand's, and its function acts with its owner's rights",
                )


def wanting_values(objects: Mapping[Key, Facts], tables: Collection[str], declared: Collection[Key]) -> Iterator[str]:
    """Yield the columns that nobody declares, that must not be NULL, and that nothing gives a value.

    Args:
        objects: The objects of the schema, each with its facts.
        tables: The tables that are looked at.
        declared: What is declared.
    """
    wanting = [
        name
        for (kind, name), facts in objects.items()
        if kind == "column"
        and (kind, name) not in declared
        and wants_value(facts)
        and not facts.get("inherited")
        and split(name)[0] in tables
    ]
    if wanting:
        kept = without_null(objects)
        yield from (name for name in wanting if name not in kept)


def wants_value(facts: Facts) -> bool:
    """Return whether a column must not be NULL, and nothing gives it a value."""
    return bool(facts.get("not_null")) and not _GIVES_A_VALUE & facts.keys()


def without_null(objects: Mapping[Key, Facts]) -> frozenset[str]:
    """Return the columns that cannot be NULL while the schema has its keys: those of primary keys and of replica identities.

    Args:
        objects: The objects of the schema, each with its facts.
    """
    found = set()
    marks = {
        str(facts.get("replica_identity", "")).removeprefix("index ")
        for (kind, _), facts in objects.items()
        if kind == "table" and "replica_identity" in facts
    }
    for (kind, name), facts in objects.items():
        if kind == "constraint" and (str(facts.get("key", "")).startswith("PRIMARY KEY") or split(name)[1] in marks):
            found |= {f"{split(name)[0]}.{column}" for column in columns_of(facts)}
        elif kind == "index" and name in marks:
            found |= {f"{facts.get('on')}.{column}" for column in columns_of(facts)}
    return frozenset(found)


def _users(key: Key, needs: Mapping[Key, Collection[Key]], going: Collection[Key]) -> Iterable[Key]:
    """Return the objects that need another and stay. What is said of it goes with it."""
    return sorted(
        user for user, those in needs.items() if key in those and user not in going and user[0] not in SAID_OF_OTHERS
    )
