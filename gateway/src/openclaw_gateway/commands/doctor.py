"""`openclaw doctor`: everything that is wrong on this machine, and what can be mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.commands.findings import (
    config_findings,
    find_migrations,
    plugin_findings,
)
from openclaw_gateway.commands.output import JsonFlag, group, print_result, say
from openclaw_gateway.config.key_paths import find_value
from openclaw_gateway.errors import GatewayError
from openclaw_gateway.plugins.discovery import find_plugins

if TYPE_CHECKING:
    from openclaw_gateway.config import Config
    from openclaw_gateway.plugins.discovery import Candidate

__all__ = ["build_group", "report_plugins"]


def build_group() -> typer.Typer:
    """Return `openclaw doctor`."""
    app = group("Say what is wrong with the configuration and the plugins.")
    app.info.no_args_is_help = False
    app.info.invoke_without_command = True
    app.callback()(doctor)
    return app


def doctor(
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="Carry old settings to their new names.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say what is wrong with the configuration and the plugins."""
    del as_json
    mended: list[str] = []
    backup = None
    if fix:
        from openclaw_gateway.commands.config import apply_changes  # noqa: PLC0415

        changes, mended = find_migrations(CommandContext().loaded)
        if changes:
            backup = apply_changes(*changes).backup
    config = CommandContext().loaded
    findings = config_findings(config)
    plugins = [_examine(config, candidate) for candidate in find_plugins(config=config)]
    for finding in findings:
        say(f"{finding['severity']}: {finding['path']}: {finding['message']}")
    _say_plugins(plugins)
    is_well = not any(it["severity"] == "error" for it in findings) and all(
        plugin["error"] is None for plugin in plugins
    )
    print_result(
        {
            "ok": is_well,
            "file": str(config.path),
            "problems": findings,
            "plugins": plugins,
            "migrated": mended,
            "backup": str(backup) if backup else None,
        }
    )
    raise typer.Exit(0 if is_well else 1)


def report_plugins(config: Config) -> int:
    """Examine all plugins, print the result, and return the exit code."""
    plugins = []
    for candidate in find_plugins(config=config):
        examined = _examine(config, candidate)
        examined["problems"] = plugin_findings(config, candidate)
        plugins.append(examined)
    _say_plugins(plugins)
    findings = [finding for plugin in plugins for finding in plugin["problems"]]
    for finding in findings:
        say(f"{finding['severity']}: {finding['path']}: {finding['message']}")
    is_well = all(plugin["error"] is None for plugin in plugins)
    is_well = is_well and all(it["severity"] != "error" for it in findings)
    print_result({"ok": is_well, "plugins": plugins})
    return 0 if is_well else 1


def _examine(config: Config, candidate: Candidate) -> dict[str, Any]:
    """Load one plugin as the Gateway would, unless it is switched off."""
    entry = ("plugins", "entries", candidate.id, "enabled")
    is_off = find_value(config.raw, entry) is False
    return {
        "id": candidate.id,
        "kind": candidate.kind,
        "source": candidate.source,
        "version": candidate.version,
        "enabled": not is_off,
        "error": None if is_off else _fault(candidate),
    }


def _fault(candidate: Candidate) -> str | None:
    try:
        plugin = candidate.load()
        candidate.manifest()
    except GatewayError as error:
        return str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - reported, whatever it is
        return f"{type(error).__name__}: {error}"
    if getattr(plugin, "id", None) != candidate.id:
        return f"The plugin calls itself {getattr(plugin, 'id', None)}."
    return None


def _say_plugins(plugins: list[dict[str, Any]]) -> None:
    for plugin in plugins:
        if plugin["error"]:
            say(f"error: plugin {plugin['id']}: {plugin['error']}")
