"""Watches openclaw.json while the Gateway runs, and passes on what can be taken live.

One `stat` each second. A file that cannot be used changes nothing: it is logged once,
and the Gateway goes on with what it has. See `config.reload` for what is taken live.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from openclaw_gateway.config import Config, load_config
from openclaw_gateway.config.reload import compare
from openclaw_gateway.config.schema import require_valid
from openclaw_gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["ConfigWatch"]

_log = structlog.get_logger(__name__)

POLL_S = 1.0
Stamp = tuple[int, int, int] | None


class ConfigWatch:
    """Keeps a running Gateway up to date with its file.

    Args:
        config: What the Gateway was started with.
        reload_plugins: Tells plugins; returns the ids of those that did not take it.
        set_level: Takes `logging.level`, None for the level of the start.
        poll_s: Seconds between two looks at the file.
    """

    def __init__(
        self,
        config: Config,
        *,
        reload_plugins: Callable[[Config, Iterable[str]], Awaitable[list[str]]],
        set_level: Callable[[str | None], None],
        poll_s: float = POLL_S,
    ) -> None:
        self._started = config
        self._config = config
        self._reload_plugins = reload_plugins
        self._set_level = set_level
        self._poll_s = poll_s
        self._stamp = self._look()
        self._task: asyncio.Task[None] | None = None
        self._stale: set[str] = set()

    @property
    def restart_needed(self) -> list[str]:
        """Paths of changes that the Gateway takes only when it is started again."""
        since_start = compare(self._started.raw, self._config.raw)
        stale = self._stale & since_start.plugins
        settings = {f"plugins.entries.{plugin_id}.config" for plugin_id in stale}
        return sorted(since_start.restart | settings)

    def start(self) -> None:
        """Begin to watch, unless `gateway.reload.mode` is `off`."""
        if self._config.get("gateway.reload.mode") != "off":
            self._task = asyncio.create_task(self._watch(), name="config-watch")

    async def stop(self) -> None:
        """Stop to watch."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def look(self) -> None:
        """Take the file as it is now, if it has changed."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            # A secret may come from a program that takes its time.
            fresh = await asyncio.to_thread(self._load)
        except GatewayError as error:
            _log.error("the changed configuration is not taken", reason=str(error))
            return
        await self._take(fresh)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged; the next change may be better
                _log.exception("watching the configuration failed")

    def _look(self) -> Stamp:
        try:
            status = self._config.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _load(self) -> Config:
        fresh = load_config(self._config.environ)
        require_valid(fresh)
        return fresh

    async def _take(self, fresh: Config) -> None:
        found = compare(self._config.raw, fresh.raw)
        if found.is_empty:
            return
        self._config = fresh
        if found.level:
            level = fresh.get("logging.level")
            self._set_level(level if isinstance(level, str) else None)
        if found.plugins:
            stale = await self._reload_plugins(fresh, found.plugins)
            self._stale = (self._stale - found.plugins) | set(stale)
        if self.restart_needed:
            _log.warning(
                "the configuration has changed; restart the Gateway to take it",
                paths=self.restart_needed,
            )
        else:
            _log.info("the changed configuration was taken")
