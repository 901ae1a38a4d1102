"""Write the reference pages from the code that decides them.

`python docs/generate_reference.py` rewrites the generated blocks of the pages
`reference/{configuration,errors,cli,rpc}.md`. The output depends on the code alone.
"""
# ruff: noqa: INP001 - a script in a folder of documents, not a package

from __future__ import annotations

import inspect
import json
import pkgutil
import types
from importlib import import_module
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
)

from pydantic import BaseModel, SecretStr
from typer.main import get_command

import openclaw_gateway
import voice_call
from openclaw_gateway.commands import build_app
from openclaw_gateway.errors import GatewayError
from openclaw_gateway.plugins.discovery import find_commands
from voice_call.config import KEY_PATH, VoiceCallConfig
from voice_call.config.section import Number, Origin, UrlPath, WebUrl
from voice_call.config.sources import _FALLBACKS as FALLBACKS
from voice_call.errors import VoiceCallError
from voice_call.rpc import METHODS
from voice_call.tool import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from pydantic.fields import FieldInfo

REFERENCE = Path(__file__).parent / "reference"

# -- configuration ---------------------------------------------------------------------

WITHOUT_EFFECT = frozenset(
    {
        "telnyx",
        "plivo",
        "numbers",
        "agent_id",
        "stale_call_reaper_seconds",
        "tts",
        "stt",
        "realtime",
        "reports",
        "live",
        "callbacks",
        "voicemail",
    }
)
"""Settings that are read and checked, and change nothing."""

WORDS = {
    "enabled": "False keeps the plugin from starting.",
    "provider": "The carrier; `mock` where none is named. `telnyx` and `plivo` are "
    "refused by this version.",
    "serve.bind": "Address to listen on.",
    "serve.path": "Where webhooks are sent to.",
    "tunnel": "How others reach us. This version opens no tunnel; a named one counts "
    "as open to others.",
    "tunnel.provider": "What forwards to us.",
    "tailscale": "As `tunnel`, the older way; nothing is opened either.",
    "tailscale.mode": "What forwards to us.",
    "tailscale.path": "Path there.",
    "tailscale.port": "Port there.",
    "webhookSecurity.allowedHosts": "Public host names that a proxy may report.",
    "webhookSecurity.trustForwardingHeaders": "Believe what proxies report.",
    "webhookSecurity.trustedProxyIPs": "Whose reports are believed; all where empty.",
    "streaming.enabled": "False lets the carrier speak and understand by itself.",
    "streaming.streamPath": "Where media streams connect, on the webhooks' port.",
    "streaming.sttModel": "Without effect: there are no cloud recognisers here.",
    "streaming.maxPendingConnections": "Media sockets that have not said who they are.",
    "streaming.maxPendingConnectionsPerIp": "The same from one address.",
    "streaming.maxConnections": "Media sockets altogether.",
    "outbound.defaultMode": "What `openclaw voicecall call` does without `--mode`: say "
    "the message and hang up, or hold a conversation.",
    "inboundPolicy": "Whose calls are taken. `pairing` behaves as `allowlist`.",
    "allowFrom": "Who may call in, for `allowlist`.",
    "sessionScope": "Which calls share the agent's memory: those with one number, none, "
    "or all.",
    "maxDurationSeconds": "From the answer to the hang-up, at most.",
    "ringTimeoutMs": "How long it rings before we give up.",
    "responseSystemPrompt": "What the agent is told beside its own instructions.",
    "responseTimeoutMs": "For one answer of the agent; then it apologises.",
}
"""Descriptions of keys that have none in the code."""

_NAMED_TYPES = (
    (Number, "phone number"),
    (Origin, "origin URL"),
    (WebUrl, "URL"),
    (UrlPath, "URL path"),
)
_PLAIN_TYPES: dict[Any, str] = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "folder",
    SecretStr: "secret",
    Any: "anything",
}
_BOUNDS = {"gt": "> ", "ge": "≥ ", "lt": "< ", "le": "≤ "}


def describe_type(annotation: Any) -> str:
    """Return a type in words, without None."""
    for named, words in _NAMED_TYPES:
        if annotation == named:
            return words
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe_type(arguments[0]) + _bounds(arguments[1:])
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(describe_type(a) for a in arguments if a is not type(None))
    if origin is tuple or origin is list:
        return f"list of {describe_type(arguments[0])}"
    if origin is dict:
        values = arguments[1]
        if values is Any:
            return "object"
        return f"object of {describe_type(values)} by {describe_type(arguments[0])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "section"
    return _PLAIN_TYPES[annotation]


def _bounds(metadata: Sequence[Any]) -> str:
    flat = [inner for each in metadata for inner in getattr(each, "metadata", [each])]
    found = [
        f"{sign}{getattr(each, name)}"
        for each in flat
        for name, sign in _BOUNDS.items()
        if getattr(each, name, None) is not None
    ]
    return f", {', '.join(found)}" if found else ""


def _sections(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield what a type nests: how its path goes on, and the section there."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield "", annotation
    elif get_origin(annotation) is dict:
        for _, section in _sections(get_args(annotation)[1]):
            yield ".<number>", section
    else:
        for each in get_args(annotation):
            if each is not type(None):
                yield from _sections(each)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "`<state>/voice-calls`"
    if value is None or value in ({}, (), []):
        return "–"
    if isinstance(value, BaseModel):
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def config_rows(
    model: type[BaseModel], path: str = ""
) -> Iterator[tuple[str, str, str, str]]:
    """Yield key path, type, default and description of every setting."""
    for field in model.model_fields.values():
        key = f"{path}{field.alias}"
        annotation = field.rebuild_annotation()
        nested = list(_sections(annotation))
        about = WORDS.get(key) or field.description
        if about is None and nested:
            about = (nested[0][1].__doc__ or "").splitlines()[0]
        yield key, describe_type(annotation), _default(field), about or ""
        if key == "numbers.<number>.tts":
            continue  # as the section of that name at the top
        for step, section in nested:
            yield from config_rows(section, f"{key}{step}.")


def _config_table(*, idle: bool) -> str:
    aliases = {
        str(field.alias)
        for name, field in VoiceCallConfig.model_fields.items()
        if (name in WITHOUT_EFFECT) is idle
    }
    lines = ["| key | type | default | what it is |", "|---|---|---|---|"]
    for key, kind, default, about in config_rows(VoiceCallConfig):
        if key.split(".")[0] in aliases:
            lines.append(f"| `{key}` | {kind} | {default} | {about} |")
    return "\n".join(lines)


def settings_table() -> str:
    """Return the table of the plugin's settings that have an effect."""
    return f"All below `{KEY_PATH}`:\n\n{_config_table(idle=False)}"


def idle_settings_table() -> str:
    """Return the table of the settings that are only read and checked."""
    return _config_table(idle=True)


def variables_table() -> str:
    """Return the table of environment variables that stand in for settings."""
    lines = ["| variable | stands in for | looked at where |", "|---|---|---|"]
    for name, pairs in FALLBACKS.items():
        chooser = {
            "ngrok": "`tunnel.provider` is `ngrok`",
            "openai": "`streaming.enabled`, or `speech.stt` is `openai`",
        }.get(name, f"`provider` is `{name}`")
        lines += [f"| `{variable}` | `{key}` | {chooser} |" for key, variable in pairs]
    return "\n".join(lines)


# -- errors ----------------------------------------------------------------------------

REMEDIES = {
    "agent_failed": "See the log line of that time; a shorter or another agent helps.",
    "call_ended": "Place a new call.",
    "call_failed": "Read the sentence; it names what cannot be done.",
    "carrier_failed": "Read the sentence; `carrierCode` is the carrier's own word.",
    "carrier_refused": "Mend what the carrier names: number, account, permission.",
    "carrier_unreachable": "Check the network. A dial in doubt is not sent again.",
    "config_invalid": "Mend the setting at the key path that the sentence begins with.",
    "config_unreadable": "Mend the file at the line and column that are named.",
    "demo_failed": "Read `gateway.log` in the demo's output folder.",
    "engine_missing": "Install the extra that the sentence names.",
    "gateway_auth": "Give the token that the Gateway runs with.",
    "gateway_down": "Start one: `openclaw gateway run`.",
    "gateway_running": "Stop the other one, or set `OPENCLAW_STATE_DIR`.",
    "gateway_timeout": "Ask again; if it stays so, read the Gateway's log.",
    "internal_error": "A defect of ours: report it with the Gateway's log.",
    "invalid_number": "Write the number in E.164 form, such as `+15550001234`.",
    "invalid_params": "Send the parameters that the method takes.",
    "journal_corrupt": "Move the file away, or restore a copy of it.",
    "journal_failed": "Read the sentence; it says what the disk or the file did.",
    "journal_too_new": "Run the version that wrote it, or a newer one.",
    "journal_unwritable": "Free space, or give the Gateway's user the right to write.",
    "limit_reached": "Wait until a call has ended, or raise the limit it names.",
    "message_required": "Say what is to be said.",
    "message_too_long": "Say it in parts.",
    "not_connected": "Ask again once the call has been answered.",
    "number_refused": "Emergency numbers are never dialled; dial from a phone.",
    "parameter_required": "Send the parameter that is named.",
    "plugin_disabled": "Enable the plugin, or start the Gateway.",
    "plugin_failed": "See `openclaw plugins list` for what is wrong.",
    "plugin_folder": "Point at a folder with a plugin; the sentence says what lacks.",
    "plugin_install": "Read the sentence: it says what pip or uv could not do.",
    "plugin_manifest": "Mend `openclaw.plugin.json` where the sentence says.",
    "plugin_starting": "Ask again in a second.",
    "port_in_use": "Stop what listens there, or set `gateway.port`.",
    "port_taken": "Stop what listens there, or set `serve.port`.",
    "protocol_error": "A peer breaks the protocol: check its version.",
    "shutting_down": "Ask again when the Gateway is back.",
    "speech_failed": "Read the sentence; the Gateway's log names the engine's fault.",
    "transcript_timeout": "Ask again, or raise `transcriptTimeoutMs`.",
    "turn_in_progress": "Wait for the answer to the first `continue`.",
    "unknown_call": "`openclaw voicecall status` lists the live calls.",
    "unsupported": "Choose a carrier that can do it.",
}


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".testing" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)


def _family(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for each in root.__subclasses__():
        if each.__module__.split(".")[0] == root.__module__.split(".")[0]:
            yield from _family(each)


def error_rows() -> list[tuple[str, str, str, str]]:
    """Return code, distribution, who is at fault, and meaning, sorted by code."""
    _import_all(openclaw_gateway)
    _import_all(voice_call)
    rows: dict[tuple[str, str], list[str]] = {}
    faults: dict[tuple[str, str], str] = {}
    for root in (GatewayError, VoiceCallError):
        owner = "Gateway" if root is GatewayError else "plugin"
        for each in _family(root):
            code = each.code  # type: ignore[attr-defined]  # both roots have one
            own = "code" in vars(each) or each is root
            if own:
                sentence = (each.__doc__ or "").splitlines()[0].rstrip(".")
                rows.setdefault((code, owner), []).append(
                    sentence.removeprefix("Raised ")
                )
                is_request = each.is_request_fault  # type: ignore[attr-defined]  # likewise
                faults[code, owner] = "yes" if is_request else "no"
    return [
        (code, owner, faults[code, owner], "; ".join(rows[code, owner]))
        for code, owner in sorted(rows)
    ]


def error_table() -> str:
    """Return the table of error codes."""
    lines = [
        "| code | from | request at fault | when | what to do |",
        "|---|---|---|---|---|",
    ]
    for code, owner, fault, when in error_rows():
        lines.append(
            f"| `{code}` | {owner} | {fault} | {when} | {REMEDIES.get(code, '')} |"
        )
    return "\n".join(lines)


# -- commands --------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command: what is typed, and the click command."""
    groups = [("openclaw", get_command(build_app()))]
    for name, load in find_commands().items():
        groups.append((f"openclaw {name}", get_command(load())))
    while groups:
        name, command = groups.pop(0)
        inner = getattr(command, "commands", {})
        if not inner or command.invoke_without_command:
            yield name, command
        if inner:
            groups[:0] = [(f"{name} {each}", inner[each]) for each in inner]


def _option_row(option: Any) -> str:
    names = ", ".join(f"`{each}`" for each in option.opts)
    if option.param_type_name == "argument":
        names = f"`{option.name}`"
    kind = getattr(option.type, "name", "text")
    kind = {"str": "text", "float range": "number", "boolean": "flag"}.get(kind, kind)
    if option.required:
        default = "required"
    elif option.default in (None, "", False):
        default = "–"
    else:
        default = f"`{option.default:g}`" if kind == "number" else f"`{option.default}`"
    return f"| {names} | {kind} | {default} | {option.help or ''} |"


def cli_sections() -> str:
    """Return one section for each command."""
    parts = []
    for name, command in commands():
        parts.append(f"### {name}\n\n{(command.help or '').strip()}")
        rows = [_option_row(each) for each in command.params if each.name != "help"]
        if rows:
            head = "| option | value | default | what it is |\n|---|---|---|---|"
            parts.append("\n".join((head, *rows)))
    return "\n\n".join(parts)


# -- methods ---------------------------------------------------------------------------


def method_table() -> str:
    """Return the table of the plugin's RPC methods."""
    lines = ["| method | scope | what it does: parameters |", "|---|---|---|"]
    for method in METHODS:
        about = (method.operation.__doc__ or "").splitlines()[0]
        lines.append(f"| `{method.name}` | `{method.scope}` | {about} |")
    return "\n".join(lines)


def tool_table() -> str:
    """Return the table of the tool's parameters."""
    lines = ["| parameter | value | what it is |", "|---|---|---|"]
    for name, schema in PARAMETERS["properties"].items():
        kind = ", ".join(f"`{each}`" for each in schema.get("enum", ())) or "text"
        required = " Required." if name in PARAMETERS["required"] else ""
        about = f"{schema.get('description', '')}{required}".strip()
        lines.append(f"| `{name}` | {kind} | {about} |")
    return "\n".join(lines)


# -- pages -----------------------------------------------------------------------------

PAGES: dict[str, dict[str, Callable[[], str]]] = {
    "configuration": {
        "settings": settings_table,
        "variables": variables_table,
        "idle settings": idle_settings_table,
    },
    "errors": {"codes": error_table},
    "cli": {"commands": cli_sections},
    "rpc": {"methods": method_table, "tool": tool_table},
}


def fill(text: str, blocks: dict[str, Callable[[], str]]) -> str:
    """Return a page with each generated block made anew."""
    for name, make in blocks.items():
        begin, end = f"<!-- generated: {name} -->\n", f"\n<!-- end: {name} -->"
        head, rest = text.split(begin)
        text = head + begin + make() + end + rest.split(end)[1]
    return text


def main() -> None:
    """Rewrite the generated blocks of every page."""
    for name, blocks in PAGES.items():
        page = REFERENCE / f"{name}.md"
        page.write_text(fill(page.read_text("utf-8"), blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
