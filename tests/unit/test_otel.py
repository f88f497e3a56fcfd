from __future__ import annotations

import logging
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import kimbledb
from kimbledb import otel
from kimbledb.events import Applied, Applying, Done, Event, Stopped, Verifying, Waiting
from kimbledb.server.notifications import Call, call_scope, notify, observe, stop_observing
from tests.support.folders import Folder

ROOT = Path(__file__).parent.parent.parent


def provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    """A provider of tracers that keeps the spans."""
    tracers, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    return tracers, exporter


@pytest.mark.parametrize(
    ("label", "database", "attributes"),
    [
        ("db.example:5432/shop", "shop", {"server.address": "db.example"}),
        ("db.example:6432/a/b", "a/b", {"server.address": "db.example", "server.port": 6432}),
        ("[::1]:5433/shop", "shop", {"server.address": "::1", "server.port": 5433}),
        ("/var/run:5432/shop", "shop", {"server.address": "/var/run"}),
        ("a:5433,b:5433/shop", "shop", {"server.address": "a,b", "server.port": 5433}),
        ("a:5432,b:5433/shop", "shop", {"server.address": "a:5432,b:5433"}),
        ("the local server:5433/shop", "shop", {}),
        ("the pool's database", None, {}),
        (None, None, {}),
    ],
)
def test_the_attributes_of_a_place(label: str | None, database: str | None, attributes: dict[str, object]) -> None:
    """The address is what the DSN says; a default port is left out, as the conventions ask."""
    assert otel._place(label) == (database, attributes)


async def test_an_error_of_the_target_is_a_span() -> None:
    """A call that fails before its target is known is recorded, and its text holds no part of the DSN."""
    tracers, exporter = provider()
    otel.instrument(tracer_provider=tracers)
    try:
        with pytest.raises(kimbledb.ConfigurationError):
            await kimbledb.migrate("postgresql://user:hush/hush@host/database")
    finally:
        otel.uninstrument()

    [span] = exporter.get_finished_spans()
    assert (span.name, span.status.status_code) == ("kimbledb.migrate", StatusCode.ERROR)
    assert (span.attributes or {})["error.type"] == "ConfigurationError"
    assert "hush" not in span.to_json()


async def test_the_last_to_instrument_gets_the_calls() -> None:
    """A second instrument() takes the place of the first, and uninstrument() ends it; both may be called at any time."""
    (first, before), (second, after) = provider(), provider()
    instrumentor = otel.Instrumentor()
    for tracers in (first, second):
        instrumentor.instrument(tracer_provider=tracers, skip_dep_check=True)
    with pytest.raises(kimbledb.ConfigurationError):
        await kimbledb.plan("nonsense")
    for _ in range(2):
        instrumentor.uninstrument()
    with pytest.raises(kimbledb.ConfigurationError):
        await kimbledb.plan("nonsense")

    assert (before.get_finished_spans(), len(after.get_finished_spans())) == ((), 1)


def outcomes_of(*events: Event) -> dict[str, object]:
    """The outcome of each span of a call with some events, by the span's name."""
    tracers, exporter = provider()
    otel.instrument(tracer_provider=tracers)
    try:
        with call_scope("migrate") as call:
            call.about("host:5432/shop", "public")
            for event in events:
                notify(None, event)
    finally:
        otel.uninstrument()
    return {span.name: (span.attributes or {}).get("kimbledb.outcome") for span in exporter.get_finished_spans()}


def test_a_migration_of_another_run_has_an_end(folder: Folder) -> None:
    """A migration that another run applied while this one waited is superseded: its span ends when the next one begins."""
    folder.table(1, "people")
    folder.table(2, "things")
    first, second = folder.catalog

    outcomes = outcomes_of(
        Applying(first, 1, 2),
        Waiting(("another run",), 0.1),
        Applying(second, 1, 1),
        Applied(second, 0.1, 1),
        Done(0.3),
    )

    assert outcomes == {
        "apply people.sql": "superseded",
        "kimbledb.waiting": None,
        "apply things.sql": "ok",
        "kimbledb.migrate": "ok",
    }


def test_a_migration_ends_with_its_call(folder: Folder) -> None:
    """A migration that is under way when its call stops, as at the deadline, has the call's outcome."""
    folder.table(1, "people")
    [migration] = folder.catalog

    outcomes = outcomes_of(Applying(migration, 1, 1), Waiting((), 0.1), Stopped(TimeoutError()))

    assert outcomes == {"apply people.sql": "failed", "kimbledb.waiting": None, "kimbledb.migrate": "failed"}


def test_the_instrumentor_is_found() -> None:
    """The entry point that opentelemetry-instrument reads names the class."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["entry-points"]["opentelemetry_instrumentor"]["kimbledb"].partition(":")

    assert getattr(import_module(module), name) is otel.Instrumentor


def test_nobody_pays_who_does_not_ask() -> None:
    """A call imports nothing of OpenTelemetry; kimbledb.otel says what to install where it is missing."""
    program = (
        "import sys, kimbledb; kimbledb.migrate; print('opentelemetry' in sys.modules); "
        "sys.modules['opentelemetry'] = None\ntry: kimbledb.otel\nexcept ModuleNotFoundError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said.splitlines() == ["False", "kimbledb.otel needs opentelemetry-api: pip install 'kimbledb[otel]'"]


def _fail() -> None:
    with call_scope("migrate") as call:
        call.about("host:5432/database", "public")
        notify(None, Verifying())
        raise KeyError


@pytest.mark.parametrize("when", ["begin", "event", "end"])
def test_an_observer_that_fails_stops_nothing(when: str, caplog: pytest.LogCaptureFixture) -> None:
    """What an observer raises is logged with its traceback, and the call goes on; its error is the call's own."""

    @contextmanager
    def broken(_call: Call) -> Iterator[Callable[[Event], object]]:
        if when == "begin":
            raise ZeroDivisionError

        def take(_event: Event) -> None:
            if when == "event":
                raise ZeroDivisionError

        try:
            yield take
        finally:
            if when == "end":
                raise ZeroDivisionError

    observe(broken)
    try:
        with caplog.at_level(logging.WARNING, "kimbledb"), pytest.raises(KeyError):
            _fail()
    finally:
        stop_observing(broken)

    assert [vars(record)["event_name"] for record in caplog.records][:1] == ["observer_failed"]
    assert "ZeroDivisionError" in caplog.text


async def test_a_call_that_handles_an_error_is_well() -> None:
    """A call inside of an except clause is no failure because of the error that is handled there."""
    ended: list[BaseException | None] = []

    @contextmanager
    def observer(_call: Call) -> Iterator[Callable[[Event], object]]:
        try:
            yield lambda _: None
        except BaseException as error:
            ended.append(error)
            raise
        ended.append(None)

    observe(observer)
    try:
        raise KeyError
    except KeyError:
        with call_scope("migrate") as call:
            call.about("host:5432/database", "public")
    finally:
        stop_observing(observer)

    assert ended == [None]
