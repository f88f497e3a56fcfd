"""One command for several schemas: plan, migrate and verify, by ``kimbledb.many``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from kimbledb.cli import wording
from kimbledb.errors import ConfigurationError, KimbleDBError
from kimbledb.execution.command import ExitCode

if TYPE_CHECKING:
    from kimbledb.cli.call import Call
    from kimbledb.model.many_report import ManyReport

#: The options without a counterpart in ``kimbledb.many``.
_OF_ONE: Final = ("backup", "set_aside", "empty", "markdown", "svg", "mermaid")


async def command(call: Call) -> int:
    """Carry out a command for each of its schemas. A schema that fails does not stop the others.

    Raises:
        ConfigurationError: The command, or one of its options, is for one schema.
    """
    name = call.given.parser.prog.rpartition(" ")[2]
    if name not in _COMMANDS:
        raise ConfigurationError(
            f"`kimbledb {name}` takes one --schema, and {len(call.schemas)} are given",
            hint=f"run it once for each; {', '.join(sorted(_COMMANDS))} take several",
        )
    for option in _OF_ONE:
        if getattr(call.given, option, None):
            raise ConfigurationError(f"--{option.replace('_', '-')} is for one --schema", hint="run it once for each")
    async with call.target() as target:
        return await _COMMANDS[name](call, target)


async def _plan(call: Call, target: str | None) -> int:
    from kimbledb.many import plan_many  # only a call for several schemas needs it

    report = await plan_many(target, **_common(call), **_limits(call))
    _show(call, report)
    if not report.ok:
        return ExitCode.REFUSED
    plans = [result.report for result in report.results if result.report is not None]
    if call.given.check and any(plan.refused for plan in plans):
        return ExitCode.REFUSED
    return ExitCode.PENDING if call.given.check and any(plan.pending for plan in plans) else ExitCode.DONE


async def _migrate(call: Call, target: str | None) -> int:
    from kimbledb.many import migrate_many, plan_many  # only a call for several schemas needs it

    given = call.given
    if given.dry_run:
        plans = await plan_many(target, **_common(call), **_limits(call))
        _show(call, plans)
        refused = [result for result in plans.results if result.report is not None and result.report.refused]
        return ExitCode.DONE if plans.ok and not refused else ExitCode.REFUSED
    halt_after: str | None = given.halt_after
    report = await migrate_many(
        target,
        **_common(call),
        **_limits(call),
        halt_after=int(halt_after) if halt_after is not None and halt_after.isdecimal() else halt_after,
        verify=not given.no_verify,
        allow_data_loss=given.allow_data_loss,
        progress=call.watcher,
    )
    _show(call, report)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED


async def _verify(call: Call, target: str | None) -> int:
    from kimbledb.many import verify_many  # only a call for several schemas needs it

    if call.given.strict:
        raise ConfigurationError("--strict is for one --schema", hint="run it once for each")
    report = await verify_many(target, **_common(call), only=call.given.only or None, progress=call.watcher)
    _show(call, report)
    return ExitCode.DONE if report.ok else ExitCode.REFUSED


def _common(call: Call) -> dict[str, Any]:
    return {
        "schemas": call.schemas,
        "catalog": call.catalog,
        "concurrency": call.given.concurrency,
        "per_server": call.given.per_server,
        "options": call.options,
    }


def _limits(call: Call) -> dict[str, Any]:
    return {"to": call.given.to, "phase": call.given.phase, "prefer": call.given.prefer}


def _show(call: Call, report: ManyReport[Any]) -> None:
    for result in report.results:
        if isinstance(result.error, KimbleDBError):
            result.error.hint = wording.in_the_shell(result.error.hint)
    call.show(report, detail=True)


_COMMANDS: Final[dict[str, Callable[[Call, str | None], Awaitable[int]]]] = {
    "migrate": _migrate,
    "plan": _plan,
    "verify": _verify,
}
