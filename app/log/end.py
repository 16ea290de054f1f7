"""Where the log ends now: one question to the brokers for all who ask together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.domain.errors import LogUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.log.port import Log


class LogEnd:
    """Shares answers of `Log.ends` between callers.

    A call never joins a question that was asked before it: that answer may miss what its caller knows to have happened.
    """

    def __init__(self, log: Log) -> None:
        """Take the log to ask."""
        self._log = log
        self._next: asyncio.Future[Mapping[int, int]] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def ask(self) -> Mapping[int, int]:
        """Give the ends of all partitions, as of after this call began. Raises LogUnavailable."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._answer())
        return await asyncio.shield(self._next)

    async def _answer(self) -> None:
        while self._next is not None:
            answer, self._next = self._next, None
            try:
                answer.set_result(await self._log.ends())
            except LogUnavailable as error:
                answer.set_exception(error)
                answer.exception()  # every asker may have given up
