"""The command groups that plugins add, imported only when they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.errors import GatewayError
from openclaw_gateway.plugins.discovery import find_commands

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["command_of", "plugin_commands"]


def plugin_commands() -> dict[str, Callable[[], Any]]:
    """Return the command groups of plugins; those of folders need a readable file."""
    try:
        config = CommandContext().loaded
    except GatewayError:
        return find_commands()  # the command itself will say what is wrong
    return find_commands(config=config)


def command_of(load: Callable[[], Any]) -> Any:
    """Import a plugin's commands."""
    loaded = load()
    if hasattr(loaded, "main"):
        return loaded
    from typer.main import get_command  # noqa: PLC0415 - not needed by click groups

    return get_command(loaded)
