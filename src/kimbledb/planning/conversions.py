"""Conversions: the rules by which a column gets another type and keeps what its values mean. Pure.

One list serves all: the completion of a table that was there before, and the repairs that say by ``expects`` which type
a column must have. A rule says which values it can convert, and of which it cuts something; what is cut is kept in a
column of its own. A change of type that no rule names is a conflict, and is never tried.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping

from attrs import field, frozen

from kimbledb.model.completion import Conversion
from kimbledb.model.names import quote_literal
from kimbledb.planning.json_texts import is_json
from kimbledb.planning.writer.names import own_name

_TEXTS = frozenset({"text", "character varying", "character"})
#: The integer types, each with the number of its bits without the sign.
_INTEGERS = {"smallint": 15, "integer": 31, "bigint": 63}
_FLOATS = frozenset({"real", "double precision"})
_NUMBERS = frozenset({*_INTEGERS, *_FLOATS, "numeric"})
_ZONED, _ZONELESS = "timestamp with time zone", "timestamp without time zone"
_TIMES = frozenset({_ZONED, _ZONELESS, "date"})
_JSON = frozenset({"json", "jsonb"})
#: Types of numbers, each with those that hold all of its values.
_WIDER = {
    "smallint": ("integer", "bigint", "numeric", "real", "double precision"),
    "integer": ("bigint", "numeric", "double precision"),
    "bigint": ("numeric",),
    "real": ("double precision",),
}
#: Further types whose values have one text each.
_PLAIN = frozenset({"uuid", "boolean", "inet", "cidr", "macaddr", "interval", "time without time zone", "citext"})
#: The values of text that a uuid has: the server's spelling, and that in upper case.
IS_UUID = "~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'"
#: The days that the calendar has: of months of 31, of 30 and of 28 days, and the 29th of February.
_DAY = (
    "((?!0000)[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    "|([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)"
)
#: The texts of dates and of times with or without a zone that ISO 8601 and the server write.
_IS_TIME = rf"~ '^{_DAY}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{{1,6}})?)?(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)?)?$'"
# No class such as \d or \s: in some locales it holds digits and spaces that no number of the server has.
_IS_INTEGER = r"~ '^[ \t-\r]*[-+]?[0-9]{1,18}[ \t-\r]*$'"
_IS_NUMBER = r"~ '^[ \t-\r]*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?[ \t-\r]*$'"
_TRUE, _FALSE = "('true', 't', 'yes', 'y', 'on', '1')", "('false', 'f', 'no', 'n', 'off', '0')"
#: Whole numbers since 1970 from here on are milliseconds: as seconds they would be after the year 5000.
_MILLISECONDS = 100_000_000_000
#: A type and what stands in parentheses, which may be inside of it: ``timestamp(3) with time zone``.
_MODIFIER = re.compile(r"\(([\d, ]+)\)")
#: A call without arguments, which needs no parentheses.
_CALL = re.compile(r"[a-z_][a-z0-9_.]*\(\)")
#: Defaults that have a zone. In UTC they would have none, and be read in that of the session.
_CLOCKS = frozenset(
    {"now()", "CURRENT_TIMESTAMP", "transaction_timestamp()", "statement_timestamp()", "clock_timestamp()"}
)
#: A default that is a literal without an escape.
_LITERAL = re.compile(r"'((?:[^'\\]|'')*)'::(?:text|character varying|json)")
_LIMITLESS = "('NaN', 'Infinity', '-Infinity')"
#: The absolute values that a type of floating point can have, beside 0: as numbers of the type before.
_RANGES = {"real": ("1.5e-45", "3e38"), "double precision": ("5e-324", "1.7e308")}


@frozen
class _Rule:
    """A rule for one column."""

    #: The later value; None where the server casts it in the time zone UTC without writing the rows anew.
    using: str | None
    #: The condition, in SQL, that convertible values fulfil; None if all values are convertible.
    fits: str | None = None
    #: The condition, in SQL, that truncated values fulfil; None if none is truncated.
    cuts: str | None = None


@frozen
class _Type:
    """A type as the server prints it."""

    text: str
    #: The type without its modifier, and the numbers of the modifier.
    name: str = field(init=False)
    size: tuple[int, ...] = field(init=False)

    @name.default
    def _without_modifier(self) -> str:
        return _MODIFIER.sub("", self.text, count=1)

    @size.default
    def _modifier(self) -> tuple[int, ...]:
        found = _MODIFIER.search(self.text)
        return () if found is None else tuple(map(int, found[1].split(",")))


def conversion_of(
    column: str, before: str, after: str, *, enums: Mapping[str, Collection[str]] | None = None
) -> Conversion | None:
    """Return the conversion of a column, or None if no rule names it.

    Args:
        column: The column, such as ``users.id``.
        before: Its type, as the server prints it.
        after: Its later type.
        enums: The labels of the schema's enums, by name, as they are afterwards.
    """
    rule = _rule(own_name(column), _Type(before), _Type(after), enums or {})
    return None if rule is None else Conversion(column, before, after, rule.using, rule.fits, rule.cuts)


def default_of(
    conversion: Conversion, default: str, *, enums: Mapping[str, Collection[str]] | None = None
) -> str | None:
    """Return the later default of a column that is converted, or None where it has none that is sure to fit.

    Args:
        conversion: The conversion.
        default: The default now.
        enums: As for ``conversion_of()``.
    """
    if conversion.ids_of is not None:
        return None
    old, new = _Type(conversion.before), _Type(conversion.after)
    if (old.name, new.name) == (_ZONELESS, _ZONED) and default in _CLOCKS:
        return default
    value = default if _CALL.fullmatch(default) else f"({default})"
    rule = _rule(value, old, new, enums or {})
    if rule is None or (rule.fits is not None and not _is_json_literal(default, new)):
        return None
    return rule.using or _time(value, old, new)


def _rule(value: str, old: _Type, new: _Type, enums: Mapping[str, Collection[str]]) -> _Rule | None:
    """Return the rule for a column from one type to another."""
    if old.name in enums or new.name in enums:
        return _of_enums(value, old, new, enums)
    if old.name.endswith("[]") or new.name.endswith("[]"):
        return _of_arrays(value, old, new)
    if old.name in _NUMBERS and new.name in _NUMBERS:
        return _of_numbers(value, old, new)
    if old.name in _TIMES and new.name in _TIMES:
        return _of_times(value, old, new)
    if old.name in _TIMES and new.name in _INTEGERS:
        return _to_epoch(value, old, new)
    if old.name in _INTEGERS and new.name in _TIMES:
        return _from_epoch(value, new)
    if new.name in _TEXTS:
        return _to_text(value, old, new)
    if old.name in _TEXTS:
        return _from_text(value, new)
    return _of_others(value, old, new)


def _of_others(value: str, old: _Type, new: _Type) -> _Rule | None:
    if {old.name, new.name} == _JSON:
        return _Rule(f"{value}::{new.text}", fits=_readable(value, old))
    if old.name == "boolean" and new.name in _INTEGERS:
        return _Rule(f"{value}::integer::{new.text}")
    if old.name in _INTEGERS and new.name == "boolean":
        return _Rule(f"({value} = 1)", fits=f"{value} IN (0, 1)")
    if old.name == new.name == "vector":
        return _Rule(f"{value}::{new.text}", fits=f"vector_dims({value}) = {new.size[0]}" if new.size else None)
    return None


# Texts.


def _to_text(value: str, old: _Type, new: _Type) -> _Rule | None:
    can = None
    if old.name in _TEXTS:
        text = value
    elif old.name in _JSON:
        text = f"(CASE {old.name}_typeof({value}) WHEN 'string' THEN {value} #>> '{{}}' ELSE {value}::text END)"
        if (readable := _readable(value, old)) is not None:
            can = f"({old.name}_typeof({value}) <> 'string' OR {readable})"
    elif old.name in (_ZONED, _ZONELESS):
        # As ISO 8601 has it, whatever the session's zone is.
        text, can = f"""to_char({_in_utc(value, old)}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""", f"isfinite({value})"
    elif old.name in _NUMBERS or old.name in _PLAIN or old.name == "date":
        text = f"{value}::text"
    else:
        return None
    # The padding of character(n) is no part of its value; character alone is character(1).
    longest = new.size or ((1,) if new.name == "character" else ())
    if not longest or (old.name in _TEXTS and old.size and old.size <= longest):
        return _Rule(text if text.endswith(f"::{new.text}") else _cast(text, new), can)
    return _Rule(_cast(text, new), _both(can, f"length({text}) <= {longest[0]}"))


def _from_text(value: str, new: _Type) -> _Rule | None:
    if new.name == "uuid":
        return _Rule(f"{value}::uuid", fits=f"{value} {IS_UUID}")
    if new.name in _JSON:
        return _Rule(_cast(value, new), fits=is_json(value, new.name))
    if new.name == "boolean":
        known = f"lower(trim({value}))"
        return _Rule(f"({known} IN {_TRUE})", fits=f"({known} IN {_TRUE} OR {known} IN {_FALSE})")
    if new.name in _INTEGERS:
        bound = 2 ** _INTEGERS[new.name]
        within = f"{value}::bigint BETWEEN {-bound} AND {bound - 1}" if new.name != "bigint" else "true"
        return _Rule(_cast(value, new), fits=f"CASE WHEN {value} {_IS_INTEGER} THEN {within} ELSE false END")
    if new.name in _NUMBERS:
        number = _of_numbers(f"{value}::numeric", _Type("numeric"), new)
        assert number is not None  # a numeric has a rule to each of them
        fits = f"CASE WHEN {value} {_IS_NUMBER} THEN {number.fits or 'true'} ELSE false END"
        return _Rule(number.using, fits, number.cuts and f"CASE WHEN {value} {_IS_NUMBER} THEN {number.cuts} END")
    if new.name in _TIMES:
        # A time without a zone is UTC.
        zoned = f"(CASE WHEN {value} ~ '(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)$' AND {value} ~ ':' THEN {value} ELSE {value} || ' UTC' END)::timestamptz"
        cuts = f"length({value}) > length('2000-01-01')" if new.name == "date" else None
        return _Rule(_time(zoned, _Type(_ZONED), new), f"{value} {_IS_TIME}", cuts)
    return None


def _readable(value: str, old: _Type) -> str | None:
    """Return what holds for the values of json that the server can take apart; None where it has done so already."""
    return is_json(f"{value}::text", "jsonb") if old.name == "json" else None


def _is_json_literal(default: str, new: _Type) -> bool:
    """Return whether a default is a literal that is JSON, and becomes JSON or a text of any length."""
    found = _LITERAL.fullmatch(default) if new.name in _JSON or new.text == "text" else None
    if found is None:
        return False
    try:
        json.loads(found[1].replace("''", "'"), parse_constant=_no_json)
    except ValueError:
        return False
    return True


def _no_json(word: str) -> None:
    raise ValueError(word)


# Numbers.


def _of_numbers(value: str, old: _Type, new: _Type) -> _Rule | None:
    if new.name in _INTEGERS:
        return _to_integer(value, old, new)
    if new.name == "numeric" and new.size:
        return _to_sized_numeric(value, old, new)
    if old.name == new.name or new.name in _WIDER.get(old.name, ()):
        return _Rule(_cast(value, new))
    back = f"{_cast(value, new)}::{old.name} <> {value}"
    if new.name == "numeric":
        return _Rule(_cast(value, new), f"{value} NOT IN {_LIMITLESS}", back)
    if old.name in _INTEGERS or (
        old.name == "numeric" and 0 < (*old.size, 0)[0] < 300 and new.name == "double precision"
    ):
        return _Rule(_cast(value, new), cuts=back)
    least, most = _RANGES[new.name]
    fits = f"({value} IN {_LIMITLESS} OR {value} = 0 OR abs({value}) BETWEEN {least} AND {most})"
    return _Rule(_cast(value, new), fits, f"CASE WHEN {fits} THEN {back} END")


def _to_integer(value: str, old: _Type, new: _Type) -> _Rule:
    if new.name in _WIDER.get(old.name, ()):
        return _Rule(_cast(value, new))
    bound = 2 ** _INTEGERS[new.name]
    if old.name in _INTEGERS:
        return _Rule(_cast(value, new), fits=f"{value} BETWEEN {-bound} AND {bound - 1}")
    exact = f"{value}::numeric"
    fits = f"({value} NOT IN {_LIMITLESS} AND trunc({exact}) BETWEEN {-bound} AND {bound - 1})"
    return _Rule(f"trunc({exact})::{new.text}", fits, f"trunc({exact}) <> {exact}")


def _to_sized_numeric(value: str, old: _Type, new: _Type) -> _Rule:
    digits, scale = (*new.size, 0)[:2]
    if old.name == "numeric" and old.size:
        before, decimals = (*old.size, 0)[:2]
        if scale >= decimals and digits - scale >= before - decimals:
            return _Rule(_cast(value, new))
    exact = f"{value}::numeric"
    rounded = f"round({exact}, {scale})"
    fits = f"({value} NOT IN {_LIMITLESS} AND abs({rounded}) < 1e{digits - scale})"
    if old.name in _INTEGERS:
        return _Rule(_cast(value, new), f"abs({rounded}) < 1e{digits - scale}", f"{rounded} <> {exact}")
    return _Rule(_cast(exact, new), fits, f"{rounded} <> {exact}")


# Times.


def _of_times(value: str, old: _Type, new: _Type) -> _Rule:
    if (old.name, new.name) == (_ZONELESS, _ZONED) and new.size in ((), old.size):
        return _Rule(None)  # a time without a zone is UTC here, whatever the session says
    later = _time(value, old, new)
    if new.name == "date":
        cut = f"{_in_utc(value, old)} <> date_trunc('day', {_in_utc(value, old)})"
        return _Rule(later, cuts=f"(isfinite({value}) AND {cut})")
    finer = not new.size or old.name == "date" or (old.size and old.size <= new.size)
    return _Rule(later, cuts=None if finer else f"{value}::{new.name.replace(' ', f'({new.size[0]}) ', 1)} <> {value}")


def _time(value: str, old: _Type, new: _Type) -> str:
    """Return a time as one of another type: without a zone it is UTC."""
    if new.name == _ZONED:
        zoned = (
            value if old.name == _ZONED else f"timezone('UTC', {value}{'::timestamp' if old.name == 'date' else ''})"
        )
        return _cast(zoned, new) if new.size else zoned
    if new.name == old.name:
        return _cast(value, new)
    return _cast(_in_utc(value, old), new)


def _in_utc(value: str, old: _Type) -> str:
    """Return a time without its zone, in UTC."""
    return f"timezone('UTC', {value})" if old.name == _ZONED else f"{value}::timestamp"


def _to_epoch(value: str, old: _Type, new: _Type) -> _Rule:
    """Return the rule to whole seconds since 1970."""
    seconds = f"extract(epoch FROM {value if old.name == _ZONED else _in_utc(value, old)})"
    bound = 2 ** _INTEGERS[new.name]
    fits = f"(isfinite({value}) AND floor({seconds}) BETWEEN {-bound} AND {bound - 1})"
    return _Rule(
        f"floor({seconds})::{new.text}",
        fits=fits,
        cuts=None if old.name == "date" else f"(isfinite({value}) AND floor({seconds}) <> {seconds})",
    )


def _from_epoch(value: str, new: _Type) -> _Rule:
    """Return the rule from whole seconds or milliseconds since 1970."""
    millis = f"abs({value}) >= {_MILLISECONDS}"
    moment = f"to_timestamp(CASE WHEN {millis} THEN {value} / 1000.0 ELSE {value} END)"
    return _Rule(_time(moment, _Type(_ZONED), new), fits=f"abs({value}) < {_MILLISECONDS * 1000}")


# Arrays and enums.


def _of_arrays(value: str, old: _Type, new: _Type) -> _Rule | None:
    if new.name in _JSON:
        return _Rule(f"to_{new.name}({value})")
    if new.name in _TEXTS and not new.size:
        return _Rule(f"{value}::text")
    strings = new.name in {f"{each}[]" for each in _TEXTS} and not new.size
    if old.name in _JSON and strings:
        # No subquery can stand here: the server fills a column of text[] that it has itself.
        held = (
            f"(jsonb_populate_record(NULL::pg_catalog.pg_class, jsonb_build_object('reloptions', {value}))).reloptions"
        )
        other = f"""jsonb_path_exists({value}::jsonb, '$[*] ? (@.type() != "string")')"""
        strings_alone = f"({old.name}_typeof({value}) = 'array' AND NOT {other})"
        readable = _readable(value, old)
        fits = strings_alone if readable is None else f"CASE WHEN {readable} THEN {strings_alone} ELSE false END"
        return _Rule(_cast(held, new), fits)
    if old.name.endswith("[]") and strings:
        return _Rule(_cast(value, new))
    if old.name.endswith("[]") and new.name.endswith("[]"):
        wider = new.name.removesuffix("[]") in _WIDER.get(old.name.removesuffix("[]"), ())
        return _Rule(_cast(value, new)) if wider and not new.size else None
    return None


def _of_enums(value: str, old: _Type, new: _Type, enums: Mapping[str, Collection[str]]) -> _Rule | None:
    if old.name not in enums and old.name not in _TEXTS:
        return None
    if new.name in _TEXTS:
        fits = f"length({value}::text) <= {new.size[0]}" if new.size else None
        return _Rule(_cast(f"{value}::text", new), fits)
    if new.name not in enums:
        return None
    labels = ", ".join(map(quote_literal, enums[new.name]))
    return _Rule(_cast(f"{value}::text", new), fits=f"{value}::text IN ({labels})" if labels else "false")


def _cast(value: str, new: _Type) -> str:
    return f"{value}::{new.text}"


def _both(one: str | None, two: str) -> str:
    return two if one is None else f"({one} AND {two})"
