"""What OpenTelemetry records of calls: spans and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from attrs import frozen
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer

import kimbledb
from kimbledb.events import Applying, Event, Waiting
from tests.support.databases import as_role, sql
from tests.support.folders import Folder


@frozen
class Recorded:
    """What was recorded, and the tracer of an application."""

    tracer: Tracer
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in the order of their begins."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: (span.start_time or 0, span.name))

    def span(self, name: str) -> ReadableSpan:
        """The one span of a name."""
        [found] = [span for span in self.spans if span.name == name]
        return found

    def parents(self) -> dict[str, str | None]:
        """Each span's name with that of its parent."""
        names = {span.context.span_id: span.name for span in self.spans if span.context}
        return {span.name: names[span.parent.span_id] if span.parent else None for span in self.spans}

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Each metric's points: its attributes, and its sum."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: [(dict(point.attributes or {}), _sum(point)) for point in metric.data.data_points]
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def _sum(point: Any) -> float:
    found: float = point.value if hasattr(point, "value") else point.sum
    return found


def of(span: ReadableSpan, name: str) -> Any:
    """An attribute of a span, or None."""
    return (span.attributes or {}).get(name)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """The record of all calls of a test."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    kimbledb.otel.instrument(tracer_provider=tracers, meter_provider=meters)
    yield Recorded(tracers.get_tracer("application"), exporter, reader)
    kimbledb.otel.uninstrument()
    meters.shutdown()


async def test_a_call_and_its_migrations(database: str, folder: Folder, recorded: Recorded) -> None:
    """A call is a span below the caller's, with one below it for each migration, and each says where and how it went."""
    folder.table(1, "people")
    folder.table(2, "things")

    with recorded.tracer.start_as_current_span("start-up"):
        await kimbledb.migrate(database, catalog=folder.catalog, schema="tenant")

    assert recorded.parents() == {
        "start-up": None,
        "kimbledb.migrate": "start-up",
        "apply people.sql": "kimbledb.migrate",
        "apply things.sql": "kimbledb.migrate",
    }
    host, _, port = database.rpartition("@")[2].partition("/")[0].partition(":")
    name = database.rpartition("/")[2]
    where = {
        "db.system.name": "postgresql",
        "db.namespace": f"{name}|tenant",
        "server.address": host,
        "server.port": int(port),
    }
    call, applied = recorded.span("kimbledb.migrate"), recorded.span("apply things.sql")
    assert dict(call.attributes or {}) == {
        **where,
        "kimbledb.operation": "migrate",
        "kimbledb.schema": "tenant",
        "kimbledb.pending": 2,
        "kimbledb.migrations": 2,
        "kimbledb.outcome": "ok",
    }
    assert dict(applied.attributes or {}) == {
        **where,
        "db.operation.name": "apply",
        "kimbledb.migration": "things.sql",
        "kimbledb.place": 2,
        "kimbledb.total": 2,
        "kimbledb.outcome": "ok",
    }
    assert (call.kind, applied.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    assert {span.status.status_code for span in recorded.spans} == {StatusCode.UNSET}
    assert (call.start_time or 0) <= (applied.start_time or 0) <= (applied.end_time or 0) <= (call.end_time or 0)
    metrics = recorded.metrics()
    where["db.namespace"] = name
    outcome = {**where, "kimbledb.outcome": "ok"}
    assert metrics["kimbledb.migrations"] == [({**outcome, "db.operation.name": "apply"}, 2)]
    [(attributes, seconds)] = metrics["kimbledb.call.duration"]
    assert attributes == {**outcome, "kimbledb.operation": "migrate"}
    assert 0 < metrics["kimbledb.migration.duration"][0][1] <= seconds


async def test_a_failure_has_its_code_and_no_value(database: str, folder: Folder, recorded: Recorded) -> None:
    """A migration that fails, and its call, have the error's code; no value, no SQL and no password is in any span."""
    await sql(
        database,
        "DROP ROLE IF EXISTS kimbledb_otel; CREATE ROLE kimbledb_otel SUPERUSER LOGIN PASSWORD 'kimbledb_otel'",
    )
    folder.add(1, "bad", "CREATE TABLE t (v text); INSERT INTO t VALUES ('row value'); SELECT v::integer FROM t;")
    try:
        with pytest.raises(kimbledb.MigrationError):
            await kimbledb.migrate(as_role(database, "kimbledb_otel"), catalog=folder.catalog)
    finally:
        await sql(database, "DROP OWNED BY kimbledb_otel CASCADE; DROP ROLE kimbledb_otel")

    for span in (recorded.span("kimbledb.migrate"), recorded.span("apply bad.sql")):
        assert span.status.status_code is StatusCode.ERROR
        assert of(span, "db.response.status_code") == of(span, "error.type") == "22P02"
        assert of(span, "kimbledb.outcome") == "failed"
    assert "invalid text representation (SQLSTATE 22P02) at" in (
        recorded.span("apply bad.sql").status.description or ""
    )
    [(attributes, count)] = recorded.metrics()["kimbledb.migrations"]
    assert (attributes["kimbledb.outcome"], attributes["error.type"], count) == ("failed", "22P02", 1)
    everything = "".join(span.to_json() for span in recorded.spans) + str(recorded.metrics())
    assert not [secret for secret in ("row value", "INSERT", "kimbledb_otel") if secret in everything]


async def test_each_of_two_calls_has_its_own_migrations(database: str, folder: Folder, recorded: Recorded) -> None:
    """Calls at the same time are told apart, also those on one pool, whose connections were opened elsewhere."""
    for number in range(1, 4):
        folder.table(number, f"table_{number}")
    schemas = ("one", "two")
    pool = await asyncpg.create_pool(database, min_size=2, max_size=4)
    async with pool:
        await asyncio.gather(*(kimbledb.migrate(pool, catalog=folder.catalog, schema=schema) for schema in schemas))

    calls = {
        span.context.span_id: of(span, "kimbledb.schema")
        for span in recorded.spans
        if span.parent is None and span.context
    }
    assert sorted(calls.values()) == ["one", "two"]
    applied = [
        (calls[span.parent.span_id], of(span, "kimbledb.migration"))
        for span in recorded.spans
        if span.kind is SpanKind.CLIENT and span.parent
    ]
    assert sorted(applied) == [(schema, f"table_{number}.sql") for schema in schemas for number in (1, 2, 3)]


async def test_a_wait_is_one_span(database: str, folder: Folder, recorded: Recorded) -> None:
    """A migration that waits for the application's lock is one span however often it is tried, and the wait is another."""
    holder = await asyncpg.connect(database, server_settings={"application_name": "the holder"})
    await holder.execute("CREATE TABLE people ()")
    await holder.execute("BEGIN; LOCK TABLE people")
    folder.add(1, "more", "ALTER TABLE people ADD COLUMN name text;")
    tries = 0

    def watch(event: Event) -> None:
        nonlocal tries
        tries += isinstance(event, Applying)
        if isinstance(event, Waiting) and tries > 1 and any("the holder" in each for each in event.blockers):
            holder.terminate()

    options = kimbledb.Options(lock_timeout=0.2, attempts=1000)
    await kimbledb.migrate(database, catalog=folder.catalog, progress=watch, options=options)

    assert tries > 1
    assert of(recorded.span("apply more.sql"), "kimbledb.outcome") == "ok"
    waits = [span for span in recorded.spans if span.name == "kimbledb.waiting"]
    assert any(
        "the holder" in str((event.attributes or {})["kimbledb.blockers"]) for span in waits for event in span.events
    )
    [(_, seconds)] = recorded.metrics()["kimbledb.wait.time"]
    assert seconds > 0


async def test_a_cancelled_call(database: str, folder: Folder, recorded: Recorded) -> None:
    """All spans of a call that is cancelled end, and say so; the caller's span is the current one again."""
    holder = await asyncpg.connect(database)
    await holder.execute("CREATE TABLE people ()")
    await holder.execute("BEGIN; LOCK TABLE people")
    folder.add(1, "more", "ALTER TABLE people ADD COLUMN name text;")
    progress = kimbledb.Progress()
    run = asyncio.create_task(kimbledb.migrate(database, catalog=folder.catalog, progress=progress))
    async for event in progress:
        if isinstance(event, Applying):
            run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    holder.terminate()

    for span in (recorded.span("kimbledb.migrate"), recorded.span("apply more.sql")):
        assert (of(span, "kimbledb.outcome"), of(span, "error.type")) == ("cancelled", "CancelledError")
        assert span.status.status_code is StatusCode.ERROR


async def test_many_and_what_is_not_well(database: str, folder: Folder, recorded: Recorded) -> None:
    """A call for many schemas holds those for each; a rollback has its migrations; a verification that says no is no error."""
    folder.table(1, "people")
    await kimbledb.migrate_many(database, schemas=("one", "two"), catalog=folder.catalog)
    await sql(database, "DROP TABLE one.people")
    await kimbledb.verify_many(database, schemas=("one",), catalog=folder.catalog)
    await kimbledb.rollback(database, "people.sql", catalog=folder.catalog, schema="two")

    parents = recorded.parents()
    assert parents["kimbledb.migrate"] == "kimbledb.migrate_many"
    assert parents["kimbledb.verify"] == "kimbledb.verify_many"
    assert parents["rollback people.sql"] == "kimbledb.rollback"
    for name in ("kimbledb.verify", "kimbledb.verify_many"):
        assert of(recorded.span(name), "kimbledb.outcome") == "not_ok"
        assert recorded.span(name).status.status_code is StatusCode.UNSET
    counted = {point["db.operation.name"]: count for point, count in recorded.metrics()["kimbledb.migrations"]}
    assert counted == {"apply": 2, "rollback": 1}
