"""The plugin itself: what a host finds through the entry point `openclaw.plugins`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from voice_call.errors import VoiceCallError
from voice_call.log import get_logger
from voice_call.rpc import register_methods
from voice_call.tool import register_tool

if TYPE_CHECKING:
    from voice_call.assembly import VoiceCallRuntime
    from voice_call.host import Host
    from voice_call.operations import CallOperations

__all__ = ["PluginDisabled", "VoiceCallPlugin", "plugin"]

_log = get_logger(__name__)


class PluginDisabled(VoiceCallError):
    """Raised when something is asked of the plugin while it does not run."""

    code = "plugin_disabled"


class VoiceCallPlugin:
    """Registers tool, RPC methods and service; builds the runtime when started.

    A configuration that cannot be used disables the plugin and nothing else: whoever
    asks something of it is told what is wrong, in the words of the configuration check.
    """

    id = "voice-call"
    name = "Voice Call"

    def register(self, host: Host) -> None:
        """Offer everything at the host. Nothing is opened, loaded or dialled yet."""
        instance = _Instance(host)
        register_methods(host, status=instance.operations, others=instance.ready)
        register_tool(host, status=instance.operations, others=instance.ready)
        host.register_service("voicecall", instance.start, instance.stop)


class _Instance:
    """The plugin within one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._runtime: VoiceCallRuntime | None = None
        self._fault: VoiceCallError = PluginDisabled(
            "The Voice Call plugin is not running; start the Gateway."
        )

    async def start(self) -> None:
        """Build and start the runtime; a fault of ours disables only this plugin.

        Raises:
            VoiceCallError: It cannot run; the host says so in its list of plugins.
        """
        try:
            self._runtime = await _start(self._host)
        except VoiceCallError as fault:
            self._fault = fault
            raise
        except Exception as fault:
            self._fault = PluginDisabled(
                f"The Voice Call plugin did not start ({type(fault).__name__}); "
                "the log says where."
            )
            raise

    async def stop(self, limit_s: float) -> None:
        """Drain and release; harmless where it never ran.

        Calls that are still live can be asked after, spoken on and ended meanwhile.
        """
        self._fault = PluginDisabled("The Gateway is stopping; try again later.")
        if self._runtime is not None:
            try:
                await self._runtime.stop(limit_s)
            finally:
                self._runtime = None

    async def operations(self) -> CallOperations:
        """Return what can be asked, also before the speech engines are ready."""
        return self._running().operations

    async def ready(self) -> CallOperations:
        """Return what can be asked, once calls can be spoken on."""
        return await self._running().ready()

    def _running(self) -> VoiceCallRuntime:
        if self._runtime is None:
            # One fault is raised many times; its traceback must not grow each time.
            raise self._fault.with_traceback(None)
        return self._runtime


async def _start(host: Host) -> VoiceCallRuntime:
    """Return a runtime that runs; one that fails half-way is taken down again."""
    # Importing settings and speech costs time that registering need not take.
    from voice_call.assembly import VoiceCallRuntime  # noqa: PLC0415
    from voice_call.config import load_config  # noqa: PLC0415

    environ = {**os.environ, "OPENCLAW_STATE_DIR": str(host.state_dir)}
    config = load_config(host.config, environ=environ)
    if not config.enabled:
        raise PluginDisabled(
            "Voice calls are disabled; set "
            "plugins.entries.voice-call.config.enabled to true."
        )
    for warning in config.warnings:
        _log.warning("configuration", warning=warning)
    runtime = VoiceCallRuntime(config, host)
    try:
        await runtime.start()
    except BaseException:
        await runtime.stop(0.0)
        raise
    return runtime


plugin = VoiceCallPlugin()
