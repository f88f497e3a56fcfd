"""Comparison: whether an object of a schema is what a migration declares. Pure.

Facts that read the same on every server are compared as they are. An expression is right if it reads as it is declared,
or as history records it. It differs if history records another form from the same server and database. Otherwise it
cannot be compared here, which is no difference.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable

from attrs import field, frozen

from kimbledb.model.forms import RecordedForm
from kimbledb.model.objects import EXPRESSIONS, HASHED, Fact, Facts, structure, words

#: Facts that stand in no script unless it says so: the owner's settings then decide, such as default_tablespace.
_OWNERS_CHOICE = frozenset({"access_method", "tablespace"})
#: Facts that mean nothing to a query, and that a server may choose: before 18 no server keeps a name for NOT NULL, and
#: an upgrade to 18 gives it another one than the script.
_NOT_COMPARED = frozenset({"not_null_name"})
#: Facts that list privileges.
_PRIVILEGES = frozenset({"may", "lacks"})
#: The privilege that no server before 17 has, and that a dump of such a server does not bring along.
_SINCE_17 = "maintain"
#: The end of a privilege that its role may grant to others.
_GRANTABLE = " with grant option"
#: Facts whose texts are data, in which a quote is a character.
_DATA = frozenset({"labels", "text"})
#: The wording of facts that exist on one side only.
_ABSENT = {"not_null": "nullable"}
#: A string constant, which stays; or a plain identifier in quotes, as a version prints it that has it as a keyword.
_QUOTED = re.compile(r"""('(?:[^']|'')*')|"([a-z_][a-z0-9_$]*)\"""")
#: The cast of an array, behind it.
_CAST = re.compile(r"::([^\[\]'\",:]+)\[\]")
#: The tokens of an expression: a constant, a quoted name, a parenthesis, a bracket, a comma.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[\[\](),]""")
_NO_RECORD = "history records no form of it"


class Verdict(enum.Enum):
    """The result of a comparison."""

    #: The object is as declared.
    RIGHT = "right"
    #: A fact differs.
    DIFFERS = "differs"
    #: Only expressions may differ, and nothing here shows whether they do.
    UNKNOWN = "cannot be compared here"


@frozen
class Comparison:
    """A declared object, compared with the object that is found."""

    verdict: Verdict
    #: The declared facts that differ, or that cannot be compared. A fact that is only found is absent.
    declared: Facts = field(factory=dict)
    #: The found facts that differ, or that cannot be compared. A fact that is only declared is absent.
    found: Facts = field(factory=dict)
    #: The reason why it cannot be compared here, or None.
    doubt: str | None = None

    @property
    def is_right(self) -> bool:
        """Whether the object is as declared."""
        return self.verdict is Verdict.RIGHT

    @property
    def differs(self) -> bool:
        """Whether a fact differs."""
        return self.verdict is Verdict.DIFFERS

    @property
    def is_unknown(self) -> bool:
        """Whether the object cannot be compared here."""
        return self.verdict is Verdict.UNKNOWN

    @property
    def expected_words(self) -> str:
        """The declared facts that differ, in words."""
        return _in_words(self.declared, self.found, "the declared")

    @property
    def found_words(self) -> str:
        """The found facts that differ, in words."""
        return _in_words(self.found, self.declared, "another")


#: The comparison of an object that is as declared.
RIGHT = Comparison(Verdict.RIGHT)


def compare(
    declared: Facts, found: Facts, *, form: str | None = None, recorded: RecordedForm | None = None
) -> Comparison:
    """Compare the facts of a declared object with those of the object that is found.

    Args:
        declared: The declared facts.
        found: The facts that the server shows.
        form: The form of the found object's expressions, or None if it has none.
        recorded: The form that history records, or None.
    """
    if declared == found:
        return RIGHT
    structural = _differing(structure(declared), structure(found))
    textual = _differing(declared, found)
    if not textual:
        return RIGHT
    proven = recorded is not None and form is not None and recorded.doubt is None and form != recorded.form
    if structural or proven:
        return _of(Verdict.DIFFERS, textual if proven else structural, declared, found)
    if recorded is None or form is None:
        return _of(Verdict.UNKNOWN, textual, declared, found, _NO_RECORD)
    if form == recorded.form:
        return RIGHT
    return _of(Verdict.UNKNOWN, textual, declared, found, recorded.doubt)


def without_defaults(declared: Facts, found: Facts, given: Collection[str]) -> Facts:
    """Return the facts of a privilege without those of its privileges that default privileges explain.

    Args:
        declared: The declared facts.
        found: The facts that the server shows.
        given: What default privileges give the role on such an object.
    """
    wanted, there = declared.get("may", ()), found.get("may", ())
    if not given or not isinstance(wanted, tuple) or not isinstance(there, tuple):
        return found
    kept: list[str] = []
    for each in there:
        plain = each.removesuffix(_GRANTABLE)
        if each in wanted or each not in given:
            kept.append(each)
        elif plain in wanted and plain not in there:
            kept.append(plain)
    return {**found, "may": tuple(kept)}


def same_type(declared: Facts, found: Facts) -> bool:
    """Return whether two columns have the same type.

    Args:
        declared: The facts of the one.
        found: The facts of the other.
    """
    return _unquoted("type", declared.get("type", "")) == _unquoted("type", found.get("type", ""))


def _differing(declared: Facts, found: Facts) -> list[str]:
    """Return the names of the facts that differ, in the order of the declared ones."""
    return [
        name
        for name in dict.fromkeys((*declared, *found))
        if (declared.get(name) != found.get(name))
        and not (name in _OWNERS_CHOICE and name not in declared)
        and name not in _NOT_COMPARED
        and not (name in declared and name in found and _reads_alike(name, declared[name], found[name]))
    ]


def _of(verdict: Verdict, names: Iterable[str], declared: Facts, found: Facts, doubt: str | None = None) -> Comparison:
    return Comparison(
        verdict,
        {name: declared[name] for name in names if name in declared},
        {name: found[name] for name in names if name in found},
        doubt,
    )


def _reads_alike(name: str, declared: Fact, found: Fact) -> bool:
    if name in _PRIVILEGES and isinstance(declared, tuple) and isinstance(found, tuple):
        return [each for each in declared if each in found or not each.startswith(_SINCE_17)] == list(found)
    return _unquoted(name, declared) == _unquoted(name, found)


def _fed_back(text: str) -> str:
    """Return an expression with the cast of an array at each of its elements, as it reads once it was read back.

    A server prints ``v IN ('a', 'b')`` on a varchar as ``v::text = ANY (ARRAY['a'::varchar, 'b'::varchar]::text[])``. It
    reads that back as another tree of the same meaning, and prints ``ARRAY['a'::varchar::text, 'b'::varchar::text]``. So
    reads a database after a restore, and an object after its cure.
    """
    pieces: list[str] = []
    rest = 0
    while (start := text.find("ARRAY[", rest)) >= 0:
        elements, end = _elements(text, start + len("ARRAY["))
        cast = _CAST.match(text, end)
        suffix = "" if cast is None else f"::{cast[1]}"
        pieces += (text[rest:start], "ARRAY[", ", ".join(_fed_back(each) + suffix for each in elements), "]")
        rest = end if cast is None else cast.end()
    return "".join([*pieces, text[rest:]])


def _elements(text: str, start: int) -> tuple[list[str], int]:
    """Return the elements of an array from the place after its bracket, and the place after its last bracket."""
    found: list[str] = []
    depth, begin = 1, start
    for token in _TOKEN.finditer(text, start):
        depth += (token[0] in "([") - (token[0] in ")]")
        if depth == 0 or (depth == 1 and token[0] == ","):
            found.append(text[begin : token.start()].strip())
            begin = token.end()
        if depth == 0:
            return found, token.end()
    return found, len(text)


def _unquoted(name: str, value: Fact) -> Fact:
    """Return a fact without the quotes around plain identifiers: which of them are keywords depends on the version.

    Expressions read as they do once they were read back.
    """
    if name in _DATA:
        return value
    if isinstance(value, tuple):
        return tuple(_bare(each, name) for each in value)
    return _bare(value, name) if isinstance(value, str) else value


def _bare(text: str, name: str) -> str:
    bare = _QUOTED.sub(lambda match: match[1] or match[2], text) if '"' in text else text
    return _fed_back(bare) if name in EXPRESSIONS and "ARRAY[" in bare else bare


def _in_words(own: Facts, others: Facts, which: str) -> str:
    shown: dict[str, Fact] = {}
    said: list[str] = []
    for name in dict.fromkeys((*own, *others)):
        if name not in own:
            said.append(_ABSENT.get(name, f"no {name.replace('_', ' ')}"))
        elif name in HASHED:
            said.append(f"{which} {name.replace('_', ' ')}")
        else:
            shown[name] = own[name]
    return " ".join([*([words(shown)] if shown else []), *said])
