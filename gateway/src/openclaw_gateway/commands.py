"""The Gateway's own commands: `openclaw gateway …` and `openclaw plugins …`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.errors import BadParams, GatewayDown, GatewayError
from openclaw_gateway.plugins.discovery import find_commands, find_plugins

__all__ = ["build_app"]

Url = Annotated[str, typer.Option(help="Where the Gateway is, as ws://host:port.")]
Token = Annotated[str, typer.Option(help="The Gateway's token.")]
TimeoutMs = Annotated[
    float, typer.Option(min=1, help="How long to wait for the answer, in ms.")
]


def build_app() -> typer.Typer:
    """Return the command line without the groups that plugins add."""
    groups = ", ".join(find_commands())
    app = _group(
        "The OpenClaw-compatible Gateway in Python.",
        epilog=f"Command groups of installed plugins: {groups}." if groups else None,
    )
    gateway = _group("Run the Gateway, or ask the running one.")
    gateway.command("run")(run)
    gateway.command("status")(status)
    gateway.command("call")(call)
    plugins = _group("See the Gateway's plugins.")
    plugins.command("list")(list_plugins)
    app.add_typer(gateway, name="gateway")
    app.add_typer(plugins, name="plugins")
    return app


def run(
    *,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object per line.")
    ] = False,
    log_level: Annotated[
        str, typer.Option(help="debug, info, warning or error.")
    ] = "info",
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that calls may go on after SIGTERM.")
    ] = 30.0,
) -> int:
    """Run the Gateway in the foreground until SIGTERM or Ctrl-C."""
    # Only this command needs the server, its web framework and its logs.
    from openclaw_gateway.app import run_gateway  # noqa: PLC0415
    from openclaw_gateway.logs import configure_logs  # noqa: PLC0415

    if log_level not in {"debug", "info", "warning", "error"}:
        raise typer.BadParameter("must be debug, info, warning or error")
    configure_logs(is_json=log_json, level=log_level)
    return run_gateway(CommandContext().loaded, find_plugins(), drain_s=drain)


def status(
    *,
    url: Url = "",
    token: Token = "",
    timeout: TimeoutMs = 5_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Accepted; the result is always JSON.")
    ] = False,
) -> None:
    """Show the running Gateway and its plugins."""
    del as_json
    context = CommandContext(url=url, token=token)
    _print(context.call("status", {}, timeout_s=timeout / 1000))


def call(
    method: Annotated[str, typer.Argument(help="For example voicecall.status.")],
    *,
    params: Annotated[str, typer.Option(help="The parameters, one JSON object.")] = "",
    url: Url = "",
    token: Token = "",
    timeout: TimeoutMs = 10_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print also an error as JSON.")
    ] = False,
) -> int:
    """Call one method of the running Gateway and print what it returns."""
    context = CommandContext(url=url, token=token)
    try:
        _print(context.call(method, _parse(params), timeout_s=timeout / 1000))
    except GatewayError as error:
        if not as_json:
            raise
        _print(_describe(error))
        return 1
    return 0


def list_plugins(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Accepted; the result is always JSON.")
    ] = False,
) -> None:
    """List the plugins: as the running Gateway sees them, else what is installed."""
    del as_json
    try:
        _print(CommandContext().call("plugins.list", {}, timeout_s=5.0))
    except GatewayDown as error:
        sys.stderr.write(f"{error}\n")
        found = [
            {"id": plugin.id, "source": plugin.source, "state": "installed"}
            for plugin in find_plugins()
        ]
        _print({"plugins": found})


def _group(help_text: str, *, epilog: str | None = None) -> typer.Typer:
    # Plain help texts: the rich ones cost every command a quarter of its budget.
    return typer.Typer(
        help=help_text,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def _parse(params: str) -> dict[str, Any]:
    try:
        value = json.loads(params or "{}")
    except ValueError as error:
        raise BadParams(f"--params is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadParams("--params must be one JSON object.")
    return value


def _describe(error: GatewayError) -> dict[str, Any]:
    return {
        "ok": False,
        "error": {
            "type": "gateway_request_error",
            "code": error.code,
            "message": str(error),
            "retryable": getattr(error, "retryable", False),
        },
    }


def _print(result: Any) -> None:
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
