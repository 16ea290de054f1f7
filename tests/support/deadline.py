"""Async tests without a plugin: one event loop a test, and a deadline for all that it waits for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T], seconds: float = 10) -> T:
    """Run a test's coroutine; fails with TimeoutError when it hangs."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(bounded())


async def until(question: Callable[[], bool]) -> None:
    """Let other tasks run until a condition holds; the deadline is that of the test."""
    while not question():  # noqa: ASYNC110 - any condition at all, as seen from outside
        await asyncio.sleep(0.001)
