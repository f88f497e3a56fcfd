"""A transaction in pieces, and several transactions as one block that loops over them and commits each.

The server plans every statement of a message. In a loop it plans the statements that all transactions share once, and
keeps the plans from one transaction to the next (manual, 43.8 "Transaction Management", 43.11.2 "Plan Caching"). Nothing
stays in the session, as it would with prepared statements. Such a block is alone in its message, since it may commit
only there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from kimbledb.model.names import quote_literal
from kimbledb.server import queries
from kimbledb.server.settings import handed

#: The counter of the loop. Blocks of ours have no variable of this name.
_AT = "kimbledb_at"
#: An anonymous block, as ``queries.block()`` writes it.
_BLOCK = re.compile(r"^DO (\$\w+\$)\n(.*?)\n\1;$", re.DOTALL | re.MULTILINE)
_QUESTION = re.compile(r"^SELECT\b", re.MULTILINE)


@frozen
class Handed:
    """Values that are handed to our blocks: each transaction has its own."""

    values: Mapping[str, object]


@frozen
class ScriptText:
    """The text of a script that is not ours, or None where a transaction has none in this place."""

    text: str | None


@frozen
class Noted:
    """Statements of ours that note a state in settings, which a transaction leaves as it found it."""

    statements: str
    #: The settings.
    names: Sequence[str]
    #: The part of the transaction that enters that state. A second one with the same part need not look again.
    of: str = ""


#: A part of a transaction: statements of ours, values, or somebody's script.
Piece = str | Handed | Noted | ScriptText

#: Ends a comment on a script's last line, and its last statement.
END_OF_SCRIPT = "\n;\n"


def written(pieces: Iterable[Piece]) -> str:
    """Return pieces as statements, one after the other."""
    return "".join(map(_written, pieces))


def _written(piece: Piece) -> str:
    match piece:
        case Handed(values):
            return handed(values)
        case Noted(statements):
            return statements
        case ScriptText(text):
            return "" if text is None else text + END_OF_SCRIPT
    return piece


def before_scripts(ahead: str, pieces: Sequence[Piece]) -> list[str]:
    """Return, for each script among pieces, the text before it.

    Args:
        ahead: The text before the pieces.
        pieces: The pieces.
    """
    return [ahead + written(pieces[:place]) for place, piece in enumerate(pieces) if isinstance(piece, ScriptText)]


def loop(head: str, transactions: Sequence[Sequence[Piece]], tail: str = "") -> str:
    """Return the block that runs transactions one after the other, and is a message by itself.

    What differs between them is a branch, an element of an array, or the text that EXECUTE runs. What each leaves as it
    found it is noted once.

    Args:
        head: Statements of ours that run once, before the first transaction.
        transactions: The pieces of each, from what follows its BEGIN up to its COMMIT. All have as many, and each piece is
            of the same kind in all of them.
        tail: Statements of ours that run once, after the last transaction.
    """
    declared: list[str] = []
    body: list[str] = []
    for number, pieces in enumerate(zip(*transactions, strict=True)):
        name = f"kimbledb_{number}"
        match pieces[0]:
            case Handed(values):
                arrays = {key: f"{name}_{place}" for place, key in enumerate(values)}
                for key, array in arrays.items():
                    given = (quote_literal(json.dumps(each.values[key])) for each in pieces if isinstance(each, Handed))
                    declared.append(_array(array, "text", given))
                body.append(
                    "PERFORM "
                    + ", ".join(
                        f"pg_catalog.set_config('{key}', {array}[{_AT}], true)" for key, array in arrays.items()
                    )
                    + ";\n"
                )
            case Noted(statements, names):
                states = [each.of for each in pieces if isinstance(each, Noted)]
                looks = (str(at == 0 or states[at] != states[at - 1]) for at in range(len(states)))
                declared += [_array(f"{name}_looks", "bool", looks), f"{name} pg_catalog.text[];\n"]
                kept = ", ".join(f"pg_catalog.current_setting('{each}')" for each in names)
                again = ", ".join(
                    f"pg_catalog.set_config('{each}', {name}[{place}], true)" for place, each in enumerate(names, 1)
                )
                body.append(
                    f"IF {name}_looks[{_AT}] THEN\n{nested(statements)}{name} := ARRAY[{kept}];\n"
                    f"ELSE\nPERFORM {again};\nEND IF;\n"
                )
            case ScriptText():
                texts = [each.text for each in pieces if isinstance(each, ScriptText)]
                if any(texts):
                    declared.append(_array(name, "text", map(_quoted, texts)))
                    # The server is not asked whether there is one: the path may be the script's.
                    run = f"EXECUTE {name}[{_AT}];\n"
                    body.append(run if all(texts) else f"IF {name}[{_AT}] IS NOT NULL THEN\n{run}END IF;\n")
            case _:
                body.append(_branches(name, [each for each in pieces if isinstance(each, str)], declared))
    return queries.anonymous(
        f"DECLARE\n{''.join(declared)}BEGIN\n{nested(head)}COMMIT;\n"
        f"FOR {_AT} IN 1..{len(transactions)} LOOP\n"
        f"{''.join(body)}END LOOP;\n{nested(tail)}END"
    )


def _branches(name: str, texts: Sequence[str], declared: list[str]) -> str:
    """Return the statements that run one of some texts, by the transaction."""
    different = list(dict.fromkeys(texts))
    if len(different) == 1:
        return nested(different[0])
    declared.append(_array(name, "int4", (str(different.index(each)) for each in texts)))
    # No operator of the script's path is called.
    tests = (
        (f"{name}[{_AT}] OPERATOR(pg_catalog.=) {number}", nested(text))
        for number, text in enumerate(different)
        if text
    )
    return "IF " + "ELSIF ".join(f"{test} THEN\n{text}" for test, text in tests) + "END IF;\n"


def _array(name: str, kind: str, values: Iterable[str]) -> str:
    return f"{name} constant pg_catalog.{kind}[] := ARRAY[{', '.join(values)}]::pg_catalog.{kind}[];\n"


def _quoted(script: str | None) -> str:
    return "NULL" if script is None else queries.quoted(script, "script")


def nested(text: str) -> str:
    """Return statements of ours, blocks among them, as they stand in a block."""
    found: list[str] = []
    end = 0
    for match in _BLOCK.finditer(text):
        found += (_QUESTION.sub("PERFORM", text[end : match.start()]), match[2], ";")
        end = match.end()
    return "".join(found) + _QUESTION.sub("PERFORM", text[end:])
