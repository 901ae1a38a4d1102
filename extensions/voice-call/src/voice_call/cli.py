"""`openclaw voicecall …`: commands parse, call the running Gateway, and print.

Results are one JSON object on standard output; words for people go to standard error.
The hosting program hands each command a client as `ctx.obj` (see `gateway_client`), so
that nothing here opens a listening socket or knows the Gateway's protocol. Heavy modules
are imported inside the commands that need them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from voice_call.gateway_client import GatewayClient

__all__ = ["app"]

app = typer.Typer(
    name="voicecall",
    help="Place, hold and watch phone calls.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_RPC_TIMEOUT_S = 10.0
_PLACE_TIMEOUT_S = 60.0
"""A Gateway that has just started may have to load its speech engines first."""
_ANSWER_MARGIN_S = 60.0
"""On top of `transcriptTimeoutMs`: the prompt has to be spoken first."""
_DEFAULT_ANSWER_S = 180.0

CallIdOption = Annotated[
    str, typer.Option("--call-id", help="Our id or the carrier's.")
]
MessageOption = Annotated[str, typer.Option("--message", "-m", help="What to say.")]
ModeOption = Annotated[
    str | None, typer.Option("--mode", help="notify or conversation.")
]


def _print(result: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(result, indent=2, ensure_ascii=False))


def _call(ctx: typer.Context, method: str, **params: Any) -> Mapping[str, Any]:
    client: GatewayClient = ctx.obj
    given = {name: value for name, value in params.items() if value is not None}
    is_placing = method in ("initiate", "start", "callIn")
    timeout_s = _PLACE_TIMEOUT_S if is_placing else _RPC_TIMEOUT_S
    return client.call(f"voicecall.{method}", given, timeout_s=timeout_s)


@app.command()
def call(
    ctx: typer.Context,
    message: MessageOption,
    to: Annotated[str | None, typer.Option("--to", "-t", help="E.164.")] = None,
    mode: ModeOption = None,
) -> None:
    """Place a call; `--to` falls back to `toNumber`."""
    result = _call(ctx, "initiate", message=message, to=to, mode=mode)
    _print({"callId": result["callId"]})


@app.command()
def start(
    ctx: typer.Context,
    to: Annotated[str, typer.Option("--to", "-t", help="E.164.")],
    message: Annotated[str | None, typer.Option("--message", "-m")] = None,
    mode: ModeOption = None,
) -> None:
    """Place a call; the message is optional."""
    result = _call(ctx, "start", message=message, to=to, mode=mode)
    _print({"callId": result["callId"]})


@app.command("continue")
def continue_(
    ctx: typer.Context, call_id: CallIdOption, message: MessageOption
) -> None:
    """Say something and wait for the answer."""
    client: GatewayClient = ctx.obj
    result = client.call(
        "voicecall.continue",
        {"callId": call_id, "message": message},
        timeout_s=_answer_s(client) + _ANSWER_MARGIN_S,
    )
    _print(result)


@app.command()
def speak(ctx: typer.Context, call_id: CallIdOption, message: MessageOption) -> None:
    """Say something."""
    _print(_call(ctx, "speak", callId=call_id, message=message))


@app.command()
def dtmf(
    ctx: typer.Context,
    call_id: CallIdOption,
    digits: Annotated[str, typer.Option("--digits", help="0-9 * # A-D.")],
) -> None:
    """Press keys."""
    _print(_call(ctx, "dtmf", callId=call_id, digits=digits))


@app.command("call-in")
def call_in(
    ctx: typer.Context,
    from_: Annotated[
        str | None, typer.Option("--from", help="Caller, E.164; withheld if absent.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Our number.")] = None,
) -> None:
    """Let the simulated network call us (mock carrier only)."""
    _print(_call(ctx, "callIn", **{"from": from_, "to": to}))


@app.command()
def end(ctx: typer.Context, call_id: CallIdOption) -> None:
    """Hang up."""
    client: GatewayClient = ctx.obj
    _print(client.call("voicecall.end", {"callId": call_id}, timeout_s=30.0))


@app.command()
def status(
    ctx: typer.Context,
    call_id: Annotated[str | None, typer.Option("--call-id")] = None,
) -> None:
    """Describe a call, or all live ones; reads the journal when no Gateway runs."""
    try:
        result = _call(ctx, "describe", callId=call_id)
    except Exception as fault:
        if getattr(fault, "code", None) != "gateway_down":
            raise
        typer.echo("no Gateway runs; reading the journal", err=True)
        result = _status_from_journal(ctx.obj, call_id)
    if not result["found"]:
        _print({"found": False})
        raise typer.Exit(1)
    _print(result["call"] if "call" in result else {"calls": result["calls"]})


@app.command()
def demo(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", help="Where recording and reports are put.")
    ],
) -> None:
    """Hold a whole spoken call on this machine, on the mock carrier."""
    from voice_call.demo import run_demo  # noqa: PLC0415 - only the demo pays for it

    raise typer.Exit(run_demo(ctx.obj, out))


@app.command()
def simulate(
    ctx: typer.Context,
    carrier: Annotated[str, typer.Option("--carrier", help="twilio.")] = "twilio",
) -> None:
    """Try the configuration on a simulated carrier: no account, Gateway or network."""
    from voice_call.simulate import run_simulation  # noqa: PLC0415 - heavy, rarely used

    result = run_simulation(_plugin_config(ctx.obj), carrier)
    _print(result)
    if not result["ok"]:
        raise typer.Exit(1)


def _plugin_config(client: GatewayClient) -> Mapping[str, Any]:
    """Return the plugin's settings; where they are none, the Gateway will say so."""
    found: Any = client.config
    for key in ("plugins", "entries", "voice-call", "config"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _answer_s(client: GatewayClient) -> float:
    timeout_ms = _plugin_config(client).get("transcriptTimeoutMs")
    if type(timeout_ms) is int and timeout_ms > 0:
        return timeout_ms / 1000
    return _DEFAULT_ANSWER_S


def _status_from_journal(
    client: GatewayClient, call_id: str | None
) -> Mapping[str, Any]:
    from voice_call.stored_status import stored_status  # noqa: PLC0415 - rarely needed

    return stored_status(_plugin_config(client), client.state_dir, call_id)
