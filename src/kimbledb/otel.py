"""OpenTelemetry: spans and metrics for each call, and for each migration that a call applies or rolls back.

::

    import kimbledb.otel

    kimbledb.otel.instrument()

It needs ``opentelemetry-api`` (``pip install 'kimbledb[otel]'``); where the spans and metrics go is decided by the
application with OpenTelemetry's SDK. ``opentelemetry-instrument`` calls ``instrument()`` by itself.

Attributes follow OpenTelemetry's conventions for PostgreSQL clients
(https://opentelemetry.io/docs/specs/semconv/db/postgresql/); all others begin with ``kimbledb.``.
None holds a value of a row or a part of a password. Of SQL they hold only the queries of blocking sessions, with masked
literals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from kimbledb.errors import KimbleDBError, MigrationError
from kimbledb.events import (
    Applied,
    Applying,
    Blocked,
    Done,
    Event,
    Failed,
    Planned,
    RolledBack,
    RollingBack,
    Statement,
    Stopped,
    Waiting,
    Watcher,
)
from kimbledb.model.clock import stopwatch
from kimbledb.server.notifications import Call, observe, stop_observing
from kimbledb.version import __version__

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "kimbledb.otel needs opentelemetry-api: pip install 'kimbledb[otel]'", name=error.name
    ) from error

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.util.types import AttributeValue

_Attributes: TypeAlias = "dict[str, AttributeValue]"

__all__ = ["Instrumentor", "instrument", "uninstrument"]

#: The version of the conventions in which those for PostgreSQL became stable.
_SCHEMA = "https://opentelemetry.io/schemas/1.33.0"
#: The bounds of the buckets in seconds: a start with nothing to do takes milliseconds, the default deadline is 600.
_SECONDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
#: The label of a target: places, each a host or a directory of sockets with a port, and the database.
_LABEL = re.compile(r"(?:the local server(?::\d+)?|(?P<places>.+?:\d+))/(?P<database>.*)", re.DOTALL)
_PORT = 5432


def instrument(*, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None) -> None:
    """Record a span and metrics for each call of kimbledb in this process from now on.

    A second call takes the place of the first one.

    Args:
        tracer_provider: Where spans go; None for the application's global provider.
        meter_provider: Where metrics go; None for the application's global provider.
    """
    uninstrument()
    telemetry = _Telemetry(tracer_provider, meter_provider)
    observe(telemetry.observed)
    _current.append(telemetry)


def uninstrument() -> None:
    """Record no further call. A call that has begun is recorded to its end."""
    while _current:
        stop_observing(_current.pop().observed)


class Instrumentor:
    """The instrumentor that ``opentelemetry-instrument`` loads by the entry point ``opentelemetry_instrumentor``."""

    def instrument(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        **_others: Any,
    ) -> None:
        """Record each call, as ``kimbledb.otel.instrument()`` does it.

        Args:
            tracer_provider: Where spans go; None for the application's global provider.
            meter_provider: Where metrics go; None for the application's global provider.
        """
        instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)

    def uninstrument(self, **_others: Any) -> None:
        """Record no further call."""
        uninstrument()


class _Telemetry:
    """The tracer and the instruments, and an observer of calls that uses them."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self.tracer = trace.get_tracer("kimbledb", __version__, tracer_provider, schema_url=_SCHEMA)
        meter = metrics.get_meter("kimbledb", __version__, meter_provider, schema_url=_SCHEMA)
        self.call_duration = meter.create_histogram(
            "kimbledb.call.duration", "s", "Duration of calls.", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self.migration_duration = meter.create_histogram(
            "kimbledb.migration.duration",
            "s",
            "Duration of migrations that were applied or rolled back, or that failed.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.migrations = meter.create_counter(
            "kimbledb.migrations", "{migration}", "Migrations that were applied or rolled back, or that failed."
        )
        self.wait_time = meter.create_counter(
            "kimbledb.wait.time", "s", "Time that calls waited for locks, for connections and for other runs."
        )

    @contextmanager
    def observed(self, call: Call) -> Iterator[Watcher]:
        """Record a call, whose span is the current one until the call ends."""
        recording = _Recording(self, call)
        try:
            # The text of an exception, and of those behind it, may quote a value: the span gets neither.
            with trace.use_span(recording.span, record_exception=False, set_status_on_exception=False):
                yield recording.take
        finally:
            recording.end()


#: The instrumentation of this process, if any.
_current: list[_Telemetry] = []


class _Recording:
    """The record of one call: its span, and the spans of the migration and of the wait that are under way."""

    def __init__(self, telemetry: _Telemetry, call: Call) -> None:
        self._telemetry = telemetry
        self._call = call
        database, place = _place(call.database)
        #: The attributes of every span of the call, and below those of metrics: no schema, since there may be thousands.
        self._common: _Attributes = {"db.system.name": "postgresql", **place}
        self._measured: _Attributes = {**self._common, **_given("db.namespace", database)}
        if names := [name for name in (database, call.schema) if name is not None]:
            self._common["db.namespace"] = "|".join(names)
        self.span = telemetry.tracer.start_span(
            f"kimbledb.{call.operation}",
            attributes={**self._common, "kimbledb.operation": call.operation, **_given("kimbledb.schema", call.schema)},
            start_time=call.began,
        )
        self._within = trace.set_span_in_context(self.span)
        self._migration: _Step | None = None
        self._wait: tuple[Span, Callable[[], float]] | None = None
        self._finished = 0
        self._end: Event | None = None

    def take(self, event: Event) -> None:
        """Record an event."""
        if not isinstance(event, Waiting | Blocked):
            self._end_wait()
        match event:
            case Planned(plan):
                self.span.set_attribute("kimbledb.pending", len(plan.pending))
            case Waiting(blockers):
                self._waiting(blockers)
            case Applying() | RollingBack():
                self._begin(event)
            case Applied() | RolledBack():
                self._finish(event)
            case Failed(_, message) if self._migration is not None:
                self._end_migration(event, message)
            case Blocked() | Statement():
                self._add(event)
            case Done() | Stopped():
                self._end = event

    def end(self) -> None:
        """End all spans, and measure the call."""
        self._end_wait()
        end = self._end
        outcome = (end.outcome if end is not None else None) or "ok"
        if isinstance(end, Stopped):
            self.span.set_status(Status(StatusCode.ERROR, _description(end.error)))
            self.span.set_attributes(_failure(end))
        if self._migration is not None:
            self._end_migration(end, "")
        self.span.set_attributes({"kimbledb.outcome": outcome, "kimbledb.migrations": self._finished})
        self.span.end()
        measured: _Attributes = {
            **self._measured,
            "kimbledb.operation": self._call.operation,
            "kimbledb.outcome": outcome,
            **_given("error.type", end.error_type if end is not None else None),
        }
        self._telemetry.call_duration.record(self._call.clock(), measured)

    def _add(self, event: Blocked | Statement) -> None:
        """Add an event to the span of the migration that is under way, or to that of the call."""
        attributes: _Attributes
        if isinstance(event, Blocked):
            attributes = {"kimbledb.blockers": event.blockers, "kimbledb.seconds": event.seconds}
        else:
            attributes = {"kimbledb.place": event.place, "kimbledb.total": event.total}
        span = self.span if self._migration is None else self._migration.span
        span.add_event(f"kimbledb.{event.name}", attributes)

    def _begin(self, event: Applying | RollingBack) -> None:
        """Begin the span of a migration, or go on with it at the next try."""
        operation, name = _step_of(event)
        if self._migration is not None:
            if (self._migration.operation, self._migration.name) == (operation, name):
                return
            self._end_migration(None, "")
        attributes = {
            **self._common,
            "db.operation.name": operation,
            "kimbledb.migration": name,
            "kimbledb.place": event.place,
            "kimbledb.total": event.total,
        }
        span = self._telemetry.tracer.start_span(
            f"{operation} {name}", context=self._within, kind=SpanKind.CLIENT, attributes=attributes
        )
        self._migration = _Step(operation, name, span)

    def _finish(self, event: Applied | RolledBack) -> None:
        """End the span of a migration that is committed."""
        self._finished += 1
        if self._migration is None or (self._migration.operation, self._migration.name) != _step_of(event):
            self._measure(_step_of(event)[0], event, event.seconds)  # the reply was lost: the span has ended
        else:
            self._end_migration(event, "", event.seconds)

    def _end_migration(self, event: Event | None, message: str, seconds: float | None = None) -> None:
        """End the span of the migration that is under way, and measure it.

        Args:
            event: Its end, or that of the call; None where another run carries the migration out.
            message: What failed, without any value.
            seconds: Its duration if the event has one.
        """
        step = self._migration
        assert step is not None  # as the callers made sure
        self._migration = None
        if event is None or isinstance(event, Done):
            step.span.set_attribute("kimbledb.outcome", "superseded")
            step.span.end()
            return
        if failure := _failure(event):
            step.span.set_status(Status(StatusCode.ERROR, message.partition("\n")[0] or None))
        step.span.set_attributes({**failure, "kimbledb.outcome": event.outcome or ""})
        step.span.end()
        self._measure(step.operation, event, step.clock() if seconds is None else seconds)

    def _measure(self, operation: str, event: Event, seconds: float) -> None:
        """Measure a migration."""
        measured = {
            **self._measured,
            "db.operation.name": operation,
            "kimbledb.outcome": event.outcome or "",
            **_given("error.type", event.error_type),
        }
        self._telemetry.migrations.add(1, measured)
        self._telemetry.migration_duration.record(seconds, measured)

    def _waiting(self, blockers: Sequence[str]) -> None:
        """Begin a wait, or go on with it: it ends when the call does something else."""
        if self._wait is None:
            span = self._telemetry.tracer.start_span("kimbledb.waiting", context=self._within, attributes=self._common)
            self._wait = (span, stopwatch())
        self._wait[0].add_event("kimbledb.waiting", {"kimbledb.blockers": tuple(blockers)})

    def _end_wait(self) -> None:
        if self._wait is not None:
            span, clock = self._wait
            self._wait = None
            span.end()
            self._telemetry.wait_time.add(clock(), {**self._measured, "kimbledb.operation": self._call.operation})


class _Step:
    """A migration that is under way."""

    def __init__(self, operation: str, name: str, span: Span) -> None:
        self.operation = operation
        self.name = name
        self.span = span
        self.clock = stopwatch()


def _step_of(event: Applying | RollingBack | Applied | RolledBack) -> tuple[str, str]:
    """Return the operation on a migration, and the migration's name."""
    return "apply" if isinstance(event, Applying | Applied) else "rollback", event.migration.name


def _place(label: str | None) -> tuple[str | None, _Attributes]:
    """Return the name of a database, or None where it is unknown, and the attributes of its address.

    Args:
        label: The label of the target: ``host:port/name``, or words where the caller's connections are used.
    """
    found = _LABEL.fullmatch(label or "")
    if found is None:
        return None, {}
    if found["places"] is None:
        return found["database"], {}  # libpq's default sockets
    places = [place.rpartition(":")[::2] for place in found["places"].split(",")]
    ports = {int(port) for _, port in places}
    if len(ports) > 1:
        return found["database"], {"server.address": found["places"]}
    [port] = ports
    hosts = ",".join(host.removeprefix("[").removesuffix("]") for host, _ in places)
    # The conventions ask for a port that is not the default one.
    return found["database"], {"server.address": hosts, **_given("server.port", None if port == _PORT else port)}


def _failure(event: Event) -> _Attributes:
    """Return the attributes of a failure, or none where an event is none."""
    if event.error_type is None:
        return {}
    sqlstate = getattr(event, "sqlstate", None)
    return {"error.type": event.error_type, **_given("db.response.status_code", sqlstate)}


def _description(error: BaseException) -> str | None:
    """Return the status text of an error: its first line, or only its class if it could quote a value or a secret."""
    if isinstance(error, KimbleDBError) and not isinstance(error, MigrationError):
        return error.message.partition("\n")[0]
    return type(error).__name__


def _given(name: str, value: AttributeValue | None) -> _Attributes:
    return {} if value is None else {name: value}
