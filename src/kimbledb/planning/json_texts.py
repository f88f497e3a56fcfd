"""The condition that a text is JSON, in SQL that every version of the server understands. Pure.

``pg_input_is_valid()`` and ``IS JSON`` are of version 16, and a cast fails at the first text that is none. JSON nests, so
that no regular expression describes it: one says whether a text consists of JSON's tokens, and another one takes the
innermost arrays and objects for scalars, until nothing changes. What is left of JSON is one scalar.
"""

from __future__ import annotations

_SPACE = r"[ \t\n\r]"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
#: As ``_NUMBER``, without the exponents that a numeric may not have.
_NUMERIC = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?0*[0-9]{1,4})?"
_WORD = "true|false|null"
_PLAIN = r'[^"\\\u0001-\u001f]'
_ESCAPED = r'\\["\\/bfnrt]'
_CODED = r"\\u[0-9a-fA-F]{4}"
#: As ``_CODED``, without what no text of the server can hold: half of a pair of surrogates, and the character 0.
_CHARACTER = r"\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4})"
#: Arrays and objects that hold none, with ``s`` for each string and ``v`` for each other value.
_INNERMOST = r"\[(?:[sv](?:,[sv])*)?\]|\{(?:s:[sv](?:,s:[sv])*)?\}"


def is_json(value: str, kind: str) -> str:
    """Return the condition that a text is JSON.

    Args:
        value: The text, an expression.
        kind: ``json`` or ``jsonb``, which takes the texts apart and so refuses more.
    """
    coded, number = (_CHARACTER, _NUMERIC) if kind == "jsonb" else (_CODED, _NUMBER)
    string = f'"(?:{_PLAIN}|{_ESCAPED}|{coded})*"'
    of_tokens = f"^(?:{_SPACE}|[][{{}}:,]|{string}|{number}|{_WORD})*$"
    short = f"regexp_replace({value}, {_quoted(string)}, 's', 'g')"
    short = f"regexp_replace({short}, {_quoted(f'{number}|{_WORD}')}, 'v', 'g')"
    short = f"regexp_replace({short}, {_quoted(f'{_SPACE}+')}, '', 'g')"
    return (
        f"CASE WHEN {value} ~ {_quoted(of_tokens)} THEN EXISTS (WITH RECURSIVE shorter (text) AS (SELECT {short}"
        f" UNION SELECT regexp_replace(text, {_quoted(_INNERMOST)}, 'v', 'g') FROM shorter)"
        " SELECT FROM shorter WHERE text IN ('s', 'v')) ELSE false END"
    )


def _quoted(pattern: str) -> str:
    return f"'{pattern}'"
