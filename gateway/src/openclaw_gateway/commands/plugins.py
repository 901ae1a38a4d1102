"""`openclaw plugins …`: install, see, switch and remove plugins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.commands.output import JsonFlag, group, print_result, say
from openclaw_gateway.config.key_paths import MISSING, Change, find_value
from openclaw_gateway.config.problems import near_name
from openclaw_gateway.errors import BadParams, GatewayDown, GatewayError
from openclaw_gateway.plugins.discovery import find_plugins

if TYPE_CHECKING:
    from openclaw_gateway.config import Config
    from openclaw_gateway.plugins.discovery import Candidate

__all__ = ["build_group"]

PluginId = Annotated[str, typer.Argument(help="As `plugins list` shows it.")]
RESTART = "A running Gateway must be restarted to take this."


def build_group() -> typer.Typer:
    """Return `openclaw plugins`."""
    app = group("Install, see, switch and remove plugins.")
    app.command("list")(list_)
    app.command("info")(info)
    app.command("install")(install)
    app.command("uninstall")(uninstall)
    app.command("enable")(enable)
    app.command("disable")(disable)
    app.command("doctor")(doctor)
    return app


def list_(*, as_json: JsonFlag = False) -> None:
    """List the plugins: as the running Gateway sees them, else what is installed."""
    del as_json
    context = CommandContext()
    running = _running(context)
    print_result({"plugins": _described(context.loaded, running)})


def _running(context: CommandContext) -> dict[str, dict[str, Any]] | None:
    """Return what the running Gateway says of each plugin, None without one."""
    try:
        answer = context.call("plugins.list", {}, timeout_s=5.0)
    except GatewayDown as error:
        say(str(error))
        return None
    return {plugin["id"]: plugin for plugin in answer["plugins"]}


def _described(
    config: Config, running: dict[str, dict[str, Any]] | None
) -> list[dict[str, Any]]:
    found = {
        it.id: _describe(config, it, running) for it in find_plugins(config=config)
    }
    gone = {name: it for name, it in (running or {}).items() if name not in found}
    return [*found.values(), *gone.values()]


def _describe(
    config: Config, candidate: Candidate, running: dict[str, dict[str, Any]] | None
) -> dict[str, Any]:
    state = "installed"
    if find_value(config.raw, ("plugins", "entries", candidate.id, "enabled")) is False:
        state = "disabled"
    described: dict[str, Any] = {
        "id": candidate.id,
        "name": candidate.id,
        "source": candidate.source,
        "kind": candidate.kind,
        "version": candidate.version,
        "state": state,
        "error": None,
    }
    if running is not None:
        # What was installed since the Gateway started is not in it yet.
        described |= running.get(candidate.id, {"state": f"{state}, not loaded"})
    return described


def info(plugin_id: PluginId, *, as_json: JsonFlag = False) -> None:
    """Show what is known about one plugin, without importing it."""
    del as_json
    from openclaw_gateway.commands.findings import plugin_findings  # noqa: PLC0415

    context = CommandContext()
    candidate = _find(context.loaded, plugin_id)
    described = _describe(context.loaded, candidate, _running(context))
    described["path"] = str(candidate.root) if candidate.root else None
    try:
        manifest = candidate.manifest()
    except GatewayError as error:
        described["error"] = described["error"] or str(error)
        manifest = None
    if manifest is not None:
        described["name"] = manifest.name
        described["description"] = manifest.description
        described["settings"] = sorted(manifest.config_schema.get("properties", {}))
    described["problems"] = plugin_findings(context.loaded, candidate)
    print_result(described)


def _find(config: Config, plugin_id: str) -> Candidate:
    candidates = {it.id: it for it in find_plugins(config=config)}
    if plugin_id not in candidates:
        hint = near_name(plugin_id, candidates)
        raise BadParams(f"There is no plugin {plugin_id}{hint}; see plugins list.")
    return candidates[plugin_id]


def install(
    target: Annotated[
        str, typer.Argument(help="A folder, a wheel, or the name of a package.")
    ],
    *,
    link: Annotated[
        bool, typer.Option("--link", help="Use the folder where it is; copy nothing.")
    ] = False,
) -> None:
    """Install a plugin and enable it."""
    config = CommandContext().loaded
    installed = _link(config, target) if link else _install(config, target)
    plugin_id = installed["id"]
    entry = ("plugins", "entries", plugin_id, "enabled")
    if find_value(config.raw, entry) is False:
        _apply(Change(path=entry, value=True))
        say(f"The plugin {plugin_id} was disabled; it is enabled now.")
    allowed = find_value(config.raw, ("plugins", "allow"))
    if isinstance(allowed, list) and plugin_id not in allowed:
        say(f"plugins.allow does not name {plugin_id}, so it will not be loaded.")
    say(RESTART)
    print_result(installed)


def _install(config: Config, target: str) -> dict[str, Any]:
    from openclaw_gateway.plugins.install import install  # noqa: PLC0415 - only here

    done = install(target, state_dir=config.state_dir)
    return {
        "id": done.id,
        "version": done.version,
        "kind": "managed",
        "path": str(done.path),
        "dependencies": list(done.dependencies),
    }


def _link(config: Config, target: str) -> dict[str, Any]:
    from openclaw_gateway.plugins.manifest import read_manifest  # noqa: PLC0415
    from openclaw_gateway.plugins.places import read_linked  # noqa: PLC0415

    folder = Path(target).expanduser().resolve()
    place = read_linked(folder)
    (plugin_id, *others) = place.ids
    if others:
        say(f"The folder also has {', '.join(others)}.")
    read_manifest(folder)  # a broken one is refused now, not when it is needed
    paths = find_value(config.raw, ("plugins", "load", "paths"))
    known = paths if isinstance(paths, list) else []
    if str(folder) not in known:
        _apply(Change(path=("plugins", "load", "paths"), value=[*known, str(folder)]))
    return {
        "id": plugin_id,
        "version": place.version,
        "kind": "linked",
        "path": str(folder),
        "dependencies": [],
    }


def uninstall(plugin_id: PluginId) -> None:
    """Remove an installed or linked plugin; its settings and its data stay."""
    from openclaw_gateway.plugins.install import uninstall  # noqa: PLC0415 - only here

    config = CommandContext().loaded
    candidate = _find(config, plugin_id)
    if candidate.kind == "environment":
        raise BadParams(
            f"The plugin {plugin_id} is part of this Python environment; remove it "
            f"there (pip uninstall {candidate.source}), or disable it: "
            f"openclaw plugins disable {plugin_id}."
        )
    if candidate.kind == "linked":
        paths = find_value(config.raw, ("plugins", "load", "paths"))
        kept = [it for it in paths if not _is_folder(config, it, candidate.root)]
        _apply(Change(path=("plugins", "load", "paths"), value=kept or MISSING))
    else:
        uninstall(plugin_id, state_dir=config.state_dir)
    say(RESTART)
    print_result({"id": plugin_id, "uninstalled": True})


def _is_folder(config: Config, named: Any, folder: Path | None) -> bool:
    if not isinstance(named, str) or folder is None:
        return False
    path = config.path.parent / Path(named).expanduser()
    return path.resolve() == folder.resolve()


def enable(plugin_id: PluginId) -> None:
    """Let the Gateway load a plugin."""
    _switch(plugin_id, is_on=True)


def disable(plugin_id: PluginId) -> None:
    """Keep a plugin installed, but do not load it."""
    _switch(plugin_id, is_on=False)


def _switch(plugin_id: str, *, is_on: bool) -> None:
    _find(CommandContext().loaded, plugin_id)
    path = ("plugins", "entries", plugin_id, "enabled")
    is_changed = _apply(Change(path=path, value=is_on))
    if is_changed:
        say(RESTART)
    print_result({"id": plugin_id, "enabled": is_on, "changed": is_changed})


def _apply(change: Change) -> bool:
    from openclaw_gateway.commands.config import apply_changes  # noqa: PLC0415

    return apply_changes(change).is_changed


def doctor(*, as_json: JsonFlag = False) -> int:
    """Import each enabled plugin, check its settings; exit code 1 on any fault."""
    del as_json
    from openclaw_gateway.commands.doctor import report_plugins  # noqa: PLC0415

    return report_plugins(CommandContext().loaded)
