"""Work of this process while a server is at a question."""

from __future__ import annotations

import asyncio

import pytest

from kimbledb.server.runner import meanwhile


async def test_the_work_is_done_between_the_question_and_its_answer() -> None:
    """The question is sent first, and the answer is awaited last."""
    seen: list[str] = []

    async def ask() -> str:
        seen.append("sent")
        await asyncio.sleep(0)
        seen.append("answered")
        return "answer"

    assert await meanwhile(ask(), lambda: seen.append("worked")) == ("answer", None)
    assert seen == ["sent", "worked", "answered"]


async def test_the_question_is_given_up_where_the_work_fails() -> None:
    """Nothing uses the connection behind the back of whoever catches the error."""
    ended: list[str] = []

    async def ask() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("given up")

    def work() -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - its own
        await meanwhile(ask(), work)

    assert ended == ["given up"]
