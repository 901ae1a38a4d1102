"""Where values come from: the file first, then the environment, then defaults.

Works on the raw JSON object, before it is checked, so that every value is checked in
the same way.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voice_call.config.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["complete"]

_MOCK_FROM_NUMBER = "+15550000000"

_FALLBACKS: dict[str, tuple[tuple[str, str], ...]] = {
    "twilio": (
        ("twilio.accountSid", "TWILIO_ACCOUNT_SID"),
        ("twilio.authToken", "TWILIO_AUTH_TOKEN"),
        ("fromNumber", "TWILIO_FROM_NUMBER"),
    ),
    "telnyx": (
        ("telnyx.apiKey", "TELNYX_API_KEY"),
        ("telnyx.connectionId", "TELNYX_CONNECTION_ID"),
        ("telnyx.publicKey", "TELNYX_PUBLIC_KEY"),
    ),
    "plivo": (
        ("plivo.authId", "PLIVO_AUTH_ID"),
        ("plivo.authToken", "PLIVO_AUTH_TOKEN"),
    ),
    "ngrok": (
        ("tunnel.ngrokAuthToken", "NGROK_AUTHTOKEN"),
        ("tunnel.ngrokDomain", "NGROK_DOMAIN"),
    ),
    "openai": (("streaming.openaiApiKey", "OPENAI_API_KEY"),),
}

_SECRET_PATHS = (
    "twilio.authToken",
    "telnyx.apiKey",
    "plivo.authToken",
    "tunnel.ngrokAuthToken",
    "streaming.openaiApiKey",
    "tts.openai.apiKey",
    "tts.elevenlabs.apiKey",
)


class _Raw:
    """The raw object, with dotted paths.

    What is no object where one must be is left for the check to report.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = _copy(raw)

    def get(self, path: str) -> Any:
        found: Any = self.values
        for key in path.split("."):
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found

    def fill(self, path: str, value: Any) -> None:
        """Set a value where the file has none."""
        *sections, last = path.split(".")
        place: Any = self.values
        for key in sections:
            if place.get(key) is None:
                place[key] = {}
            place = place[key]
            if not isinstance(place, dict):
                return
        if place.get(last) is None:
            place[last] = value

    def take(self, path: str) -> Any:
        """Remove a value and return it."""
        section, _, last = path.rpartition(".")
        place = self.get(section) if section else self.values
        return place.pop(last, None) if isinstance(place, dict) else None

    def replace(self, path: str, value: Any) -> None:
        """Set a value whose section exists."""
        section, _, last = path.rpartition(".")
        (self.get(section) if section else self.values)[last] = value


def complete(
    raw: Mapping[str, Any], *, environ: Mapping[str, str], key_path: str
) -> tuple[dict[str, Any], list[str], list[Problem]]:
    """Return the raw configuration with all sources applied.

    Returns:
        The completed object, warnings for people, and problems with secret references.
    """
    values = _Raw(raw)
    warnings = _modernise(values)
    problems = _resolve_secrets(values, environ, key_path)
    if values.get("enabled") is not False:
        values.fill("provider", "mock")
    provider = values.get("provider")
    if provider == "mock":
        values.fill("fromNumber", _MOCK_FROM_NUMBER)
    chosen = {str(provider), str(values.get("tunnel.provider"))}
    if values.get("streaming.enabled") is True or values.get("speech.stt") == "openai":
        chosen.add("openai")
    for name in chosen & _FALLBACKS.keys():
        for path, variable in _FALLBACKS[name]:
            if environ.get(variable, "").strip():
                values.fill(path, environ[variable].strip())
    values.fill("store", str(_state_folder(environ) / "voice-calls"))
    if isinstance(store := values.get("store"), str):
        values.replace("store", _expand(store, environ))
    return values.values, warnings, problems


def _modernise(values: _Raw) -> list[str]:
    """Carry values from older keys to today's, which win; say what was done."""
    warnings = []
    if values.get("provider") == "log":
        values.replace("provider", "mock")
        warnings.append("provider: 'log' is the old name of 'mock'; write 'mock'.")
    if (free_tier := values.take("tunnel.allowNgrokFreeTier")) is not None:
        bypass = "tunnel.allowNgrokFreeTierLoopbackBypass"
        values.replace(bypass, bool(values.get(bypass) or free_tier))
        warnings.append(f"tunnel.allowNgrokFreeTier is the old name of {bypass}.")
    for old in ("silenceTimeoutMs", "streaming.silenceDurationMs"):
        if (silence := values.get(old)) is not None:
            values.fill("turns.endpointing.silenceMs", silence)
    recogniser = values.get("streaming.provider") or values.get("streaming.sttProvider")
    if isinstance(recogniser, str) and recogniser:
        values.fill("speech.stt", recogniser.removesuffix("-realtime"))
    synthesiser = values.get("tts.provider")
    if synthesiser == "edge":
        warnings.append(
            "tts.provider: 'edge' gives no telephone audio; another engine speaks."
        )
    elif isinstance(synthesiser, str) and synthesiser:
        values.fill("speech.tts", synthesiser)
    return warnings


def _resolve_secrets(
    values: _Raw, environ: Mapping[str, str], key_path: str
) -> list[Problem]:
    """Replace references such as {"source": "env", "id": "NAME"} by what they name."""
    problems = []
    for path in _SECRET_PATHS:
        reference = values.get(path)
        if not isinstance(reference, dict):
            continue
        variable = reference.get("id")
        values.take(path)
        if reference.get("source") != "env" or not isinstance(variable, str):
            message = 'only references to the environment are read: {"source": "env"}'
        elif not environ.get(variable):
            message = f"the environment has no variable {variable}"
        else:
            values.replace(path, environ[variable])
            continue
        problems.append(Problem(key_path=f"{key_path}.{path}", message=message))
    return problems


def _state_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("OPENCLAW_STATE_DIR") or "~/.openclaw")


def _expand(path: str, environ: Mapping[str, str]) -> str:
    if path == "~" or path.startswith("~/"):
        home = environ.get("HOME") or str(Path.home())
        return home + path[1:]
    return path


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
