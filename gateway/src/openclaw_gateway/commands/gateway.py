"""`openclaw gateway …`: run the Gateway, or ask the running one."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.commands.output import group, print_result, say
from openclaw_gateway.errors import BadParams, GatewayError

__all__ = ["build_group"]

LEVELS = ("debug", "info", "warning", "error")
Url = Annotated[str, typer.Option(help="Where the Gateway is, as ws://host:port.")]
Token = Annotated[str, typer.Option(help="The Gateway's token.")]
TimeoutMs = Annotated[
    float, typer.Option(min=1, help="How long to wait for the answer, in ms.")
]


def build_group() -> typer.Typer:
    """Return `openclaw gateway`."""
    app = group("Run the Gateway, or ask the running one.")
    app.command("run")(run)
    app.command("status")(status)
    app.command("call")(call)
    return app


def run(
    *,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log one JSON object per line.")
    ] = False,
    log_level: Annotated[
        str,
        typer.Option(
            help="debug, info, warning or error; else logging.level, or info."
        ),
    ] = "",
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that calls may go on after SIGTERM.")
    ] = 30.0,
) -> int:
    """Run the Gateway in the foreground until SIGTERM or Ctrl-C."""
    # Only this command needs the server, its web framework and its logs.
    from openclaw_gateway.app import run_gateway  # noqa: PLC0415
    from openclaw_gateway.config.schema import require_valid  # noqa: PLC0415
    from openclaw_gateway.logs import configure_logs  # noqa: PLC0415
    from openclaw_gateway.plugins.discovery import find_plugins  # noqa: PLC0415

    if log_level and log_level not in LEVELS:
        raise typer.BadParameter(f"must be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}")
    config = CommandContext().loaded
    for warning in require_valid(config):
        say(f"warning: {warning}")
    level = log_level or config.get("logging.level") or "info"
    configure_logs(is_json=log_json, level=level)
    return run_gateway(config, find_plugins(config=config), drain_s=drain)


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
    print_result(context.call("status", {}, timeout_s=timeout / 1000))


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
        print_result(context.call(method, _parse(params), timeout_s=timeout / 1000))
    except GatewayError as error:
        if not as_json:
            raise
        print_result(_describe(error))
        return 1
    return 0


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
