"""The settings of speech synthesis, in the shape of OpenClaw's `messages.tts`.

The plugin's own `tts` is an override: it is merged over the core's, key by key, and what
comes out decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from voice_call.config.section import FreeObject, Milliseconds, Origin, Secret, Section

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "EdgeTts",
    "ElevenLabsTts",
    "ElevenLabsVoice",
    "OpenAiTts",
    "TtsConfig",
    "TtsModelOverrides",
    "merge_tts",
]

_UNSAFE_KEYS = frozenset({"__proto__", "prototype", "constructor"})
_MAX_DEPTH = 32
_Share = Annotated[float, Field(ge=0, le=1)]


class TtsModelOverrides(Section):
    """What an agent may change about its own voice."""

    enabled: bool | None = None
    allow_text: bool | None = None
    allow_provider: bool | None = None
    allow_voice: bool | None = None
    allow_model_id: bool | None = None
    allow_voice_settings: bool | None = None
    allow_normalization: bool | None = None
    allow_seed: bool | None = None


class ElevenLabsVoice(Section):
    """How an ElevenLabs voice sounds."""

    stability: _Share | None = None
    similarity_boost: _Share | None = None
    style: _Share | None = None
    use_speaker_boost: bool | None = None
    speed: Annotated[float, Field(ge=0.5, le=2)] | None = None


class ElevenLabsTts(Section):
    """ElevenLabs."""

    api_key: Secret | None = Field(default=None, description="Else ELEVENLABS_API_KEY.")
    base_url: Origin | None = None
    voice_id: str | None = None
    model_id: str | None = None
    seed: Annotated[int, Field(ge=0, le=4_294_967_295)] | None = None
    apply_text_normalization: Literal["auto", "on", "off"] | None = None
    language_code: str | None = None
    voice_settings: ElevenLabsVoice | None = None


class OpenAiTts(Section):
    """OpenAI, or anything that speaks its API."""

    api_key: Secret | None = Field(default=None, description="Else OPENAI_API_KEY.")
    base_url: Origin | None = None
    model: str | None = None
    voice: str | None = None


class EdgeTts(Section):
    """Microsoft Edge; read, but never used: its voices give no telephone audio."""

    enabled: bool | None = None
    voice: str | None = None
    lang: str | None = None
    output_format: str | None = None
    pitch: str | None = None
    rate: str | None = None
    volume: str | None = None
    save_subtitles: bool | None = None
    proxy: str | None = None
    timeout_ms: Milliseconds | None = None


class TtsConfig(Section):
    """Speech synthesis; what is None is left to the core or to the engine."""

    auto: Literal["off", "always", "inbound", "tagged"] | None = None
    enabled: bool | None = None
    mode: Literal["final", "all"] | None = None
    provider: str | None = Field(
        default=None,
        description="Engine: local, openai, elevenlabs, or one that is installed.",
    )
    summary_model: str | None = None
    model_overrides: TtsModelOverrides | None = None
    elevenlabs: ElevenLabsTts | None = None
    openai: OpenAiTts | None = None
    edge: EdgeTts | None = None
    providers: dict[str, FreeObject] | None = Field(
        default=None, description="Settings of engines by name, in the newer place."
    )
    prefs_path: str | None = None
    max_text_length: Annotated[int, Field(ge=1)] | None = None
    timeout_ms: Milliseconds | None = None

    def as_override(self) -> dict[str, Any]:
        """Return what was set, for `merge_tts`."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def merge_tts(core: Any, override: Any) -> Any:
    """Return `core` with `override` laid over it; neither is changed.

    Objects are merged key by key; everything else, lists and None too, replaces what
    was there. Keys that could reach into an object's prototype in another language are
    left out, from either side.

    Raises:
        ValueError: The settings are nested deeper than 32 levels.
    """
    return _merge(core, override, _MAX_DEPTH)


def _merge(core: Any, override: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"settings are nested deeper than {_MAX_DEPTH} levels")
    if not isinstance(override, dict):
        return override
    base: Mapping[str, Any] = core if isinstance(core, dict) else {}
    merged = {key: value for key, value in base.items() if _is_safe(key)}
    for key, value in override.items():
        if _is_safe(key):
            merged[key] = _merge(base.get(key), value, depth - 1)
    return merged


def _is_safe(key: str) -> bool:
    return key not in _UNSAFE_KEYS and not key.startswith("__")
