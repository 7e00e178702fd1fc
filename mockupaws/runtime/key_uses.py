"""When each API key was last used: noted while requests are served, written later, at most once a minute for a key."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mockupaws.runtime.postgres import is_retriable
from mockupaws.runtime.telemetry import get_logger

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

WRITE_EVERY = timedelta(seconds=60)
MAX_WAITING = 10_000
"""Keys noted and not yet written; more are not noted, which loses nothing but a time."""
_log = get_logger(__name__)


class KeyUses:
    def __init__(self, pool: Pool, timeout_seconds: float) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._waiting: dict[str, datetime] = {}

    def note(self, prefix: str, moment: datetime) -> None:
        """Never waits. Only for a key that was proved: what strangers send must not grow this."""
        if len(self._waiting) < MAX_WAITING or prefix in self._waiting:
            self._waiting[prefix] = moment

    async def run(self) -> None:
        """Writes until cancelled; what can't be written waits for the next time."""
        while True:
            await asyncio.sleep(WRITE_EVERY.total_seconds())
            try:
                await self.write()
            except Exception as error:
                if not is_retriable(error):
                    raise
                _log.warning("key_uses_not_written", error=type(error).__name__)

    async def write(self) -> None:
        """Raises what asyncpg raises; then everything still waits."""
        writing = dict(self._waiting)
        if not writing:
            return
        async with asyncio.timeout(self._timeout_seconds):
            await self._pool.execute("SELECT note_key_uses($1, $2)", list(writing), list(writing.values()))
        self._waiting = {prefix: at for prefix, at in self._waiting.items() if writing.get(prefix) != at}
