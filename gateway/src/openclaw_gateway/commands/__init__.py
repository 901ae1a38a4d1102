"""The Gateway's own commands, one module for each group.

A command line that names its group builds this group alone; help builds them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import typer

__all__ = ["CORE_GROUPS", "build_app"]

CORE_GROUPS = {
    "gateway": "openclaw_gateway.commands.gateway",
    "plugins": "openclaw_gateway.commands.plugins",
    "config": "openclaw_gateway.commands.config",
    "doctor": "openclaw_gateway.commands.doctor",
    "completion": "openclaw_gateway.commands.completion",
}
"""Group or command → module with `build_group`."""


def build_app(only: str | None = None, *, plugin_groups: Iterable[str] = ()) -> Any:
    """Return the command line without the groups that plugins add.

    Args:
        only: Builds one group; all where None, or where no group has that name.
        plugin_groups: Names that help should mention.
    """
    from openclaw_gateway.commands.output import group  # noqa: PLC0415 - needs typer

    named = ", ".join(plugin_groups)
    app: typer.Typer = group(
        "The OpenClaw-compatible Gateway in Python.",
        epilog=f"Command groups of installed plugins: {named}." if named else None,
    )
    # Without a callback, typer would take an only group for the whole.
    app.callback()(_root)
    for name, module in CORE_GROUPS.items():
        if only not in CORE_GROUPS or name == only:
            app.add_typer(import_module(module).build_group(), name=name)
    return app


def _root() -> None:
    """The OpenClaw-compatible Gateway in Python."""
