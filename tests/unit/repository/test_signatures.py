from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType
from typing import Any, get_type_hints

import asyncpg
import asyncpg.pool
import attrs
import pytest

import kimbledb
from kimbledb import testing
from kimbledb.server.libraries import shapes
from kimbledb.server.targets import Target, TargetLike

PUBLIC: dict[str, Any] = {
    # Two are unions of types.
    **{name: getattr(kimbledb, name) for name in kimbledb.__all__ if name not in ("CatalogLike", "TargetLike")},
    **{f"testing.{name}": getattr(testing, name) for name in testing.__all__},
}
#: Methods of Python's own protocols, which take anything.
PROTOCOLS = ("__aexit__", "__contains__", "__deepcopy__", "__eq__", "__reduce__")


def annotations_of(thing: Any) -> Iterator[tuple[str, ast.expr]]:
    """Each annotation of a public function, or of the public methods and fields of a class, with its place."""
    if not isinstance(thing, type):
        yield from _of_function(inspect.unwrap(thing))
        return
    for each in thing.__mro__:
        if not each.__module__.startswith("kimbledb"):
            continue
        [tree] = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(tree, ast.ClassDef)
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
                yield f"{each.__name__}.{ast.unparse(node.target)}", node.annotation
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node.name):
                yield from _annotations(f"{each.__name__}.{node.name}", node)
    if attrs.has(thing):
        # The constructor takes what the converter of a field takes.
        for field in attrs.fields(thing):
            if isinstance(field.converter, FunctionType):
                yield from _of_function(field.converter)


def _of_function(function: Any) -> Iterator[tuple[str, ast.expr]]:
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef)
    yield from _annotations(function.__name__, tree)


def _annotations(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.expr]]:
    given = node.args
    for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if each is not None and each.annotation is not None:
            yield f"{name}({each.arg})", each.annotation
    if node.returns is not None:
        yield f"{name}()", node.returns


def _is_public(name: str) -> bool:
    return name not in PROTOCOLS and (not name.startswith("_") or name.startswith("__"))


@pytest.mark.parametrize("name", PUBLIC)
def test_no_public_signature_takes_anything(name: str) -> None:
    """No argument, field or result of a public name is an `object`: type checkers can tell a wrong one."""
    vague = [
        place
        for place, annotation in annotations_of(PUBLIC[name])
        if any(isinstance(node, ast.Name) and node.id == "object" for node in ast.walk(annotation))
    ]

    assert not vague


@pytest.mark.parametrize(
    "function",
    [
        "adopt",
        "migrate",
        "migrate_many",
        "plan",
        "plan_many",
        "reset",
        "restore",
        "rollback",
        "stamp",
        "status",
        "verify",
        "wait",
    ],
)
def test_a_target_is_typed(function: str) -> None:
    """Every function that works on a database takes what ``TargetLike`` lists."""
    parameters = inspect.signature(getattr(kimbledb, function)).parameters
    name = "targets" if function.endswith("_many") else "target"

    assert "TargetLike" in str(parameters[name].annotation)


def test_a_target_is_one_of_ten() -> None:
    """The alias for targets names the classes and shapes that a target can be of, at run time too."""
    hints = get_type_hints(kimbledb.server.targets.target_of)

    assert hints["given"] == TargetLike
    assert set(TargetLike.__args__) == {
        *(str, Target, type(None)),
        *(asyncpg.Connection, asyncpg.pool.PoolConnectionProxy, asyncpg.pool.Pool),
        *(shapes.SQLAlchemyURL, shapes.SQLAlchemyEngine, shapes.SQLAlchemyConnection),
        *(shapes.PsycopgConnection, shapes.PsycopgPool),
    }
