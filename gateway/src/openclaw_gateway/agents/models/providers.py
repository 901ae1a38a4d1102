"""Where models are: `models.providers`, and the environment where it says nothing.

    models: {providers: {
      openai:  {apiKey: "${MY_KEY}"},
      ollama:  {baseUrl: "http://127.0.0.1:11434/v1", api: "openai-completions",
                models: [{id: "qwen3", contextWindow: 32768, reasoning: true}]},
    }}

`openai` and `anthropic` need no entry: OPENAI_API_KEY, OPENAI_BASE_URL (with /v1),
ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL (an origin) fill in what the file leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openclaw_gateway.errors import AgentFailed, ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openclaw_gateway.config import Config

__all__ = [
    "ANTHROPIC_MESSAGES",
    "OPENAI_COMPLETIONS",
    "ModelInfo",
    "ProviderSettings",
    "provider_ids",
    "provider_settings",
]

OPENAI_COMPLETIONS = "openai-completions"
ANTHROPIC_MESSAGES = "anthropic-messages"
APIS = (OPENAI_COMPLETIONS, ANTHROPIC_MESSAGES)

NO_KEY = "no-key-needed"
"""What is sent to servers that need no key, because the SDKs insist on one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Vendor:
    api: str
    base_url: str
    key_variable: str
    url_variable: str


_VENDORS: Mapping[str, _Vendor] = {
    "openai": _Vendor(
        api=OPENAI_COMPLETIONS,
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        url_variable="OPENAI_BASE_URL",
    ),
    "anthropic": _Vendor(
        api=ANTHROPIC_MESSAGES,
        base_url="https://api.anthropic.com",
        key_variable="ANTHROPIC_API_KEY",
        url_variable="ANTHROPIC_BASE_URL",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the configuration tells about one model.

    Attributes:
        context_window: Tokens that it can read and write at once; None if unknown.
        max_tokens: How long an answer may be; None for the provider's own limit.
        is_reasoning: Whether it can think before it answers; None if unknown.
    """

    context_window: int | None = None
    max_tokens: int | None = None
    is_reasoning: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Where one provider is, and how to speak with it.

    Attributes:
        id: As in `models.providers.<id>` and before the slash of a model's name.
        api: `openai-completions` or `anthropic-messages`.
        base_url: What paths are appended to.
        api_key: The key.
        models: What is known about its models, by id.
        headers: Sent with each request.
    """

    id: str
    api: str
    base_url: str
    api_key: str = field(repr=False)
    models: Mapping[str, ModelInfo] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """The base URL as people may see it: without user and password."""
        parts = urlsplit(self.base_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def is_vendors_own(self) -> bool:
        """Whether this is the API of whoever made it, not a server that imitates it."""
        return any(self.base_url == vendor.base_url for vendor in _VENDORS.values())

    @property
    def key_hint(self) -> str:
        """Where the key comes from."""
        vendor = _VENDORS.get(self.id)
        named = f"models.providers.{self.id}.apiKey"
        return f"{named} or {vendor.key_variable}" if vendor else named

    def model(self, name: str) -> ModelInfo:
        """Return what is known about a model."""
        return self.models.get(name, ModelInfo())


def provider_ids(config: Config) -> tuple[str, ...]:
    """Return the names that may stand before the slash of a model's name."""
    models = config.raw.get("models")
    entries = models.get("providers") if isinstance(models, dict) else None
    named = entries if isinstance(entries, dict) else {}
    return tuple(sorted({*_VENDORS, *named}))


def provider_settings(config: Config, provider_id: str) -> ProviderSettings:
    """Interpret one provider's entry; fetches its key, which may take seconds.

    Raises:
        AgentFailed: The key is missing, or the entry is wrong.
    """
    path = f"models.providers.{provider_id}"
    try:
        return _interpret(config, provider_id, path)
    except ConfigInvalid as error:
        raise AgentFailed(
            f"The provider {provider_id} is not usable: {error}"
        ) from error


def _interpret(config: Config, provider_id: str, path: str) -> ProviderSettings:
    entry = config.section(path)
    vendor = _VENDORS.get(provider_id)
    environ = config.environ
    base_url = _base_url(entry, vendor, environ, path)
    api = _text(entry, "api", path) or (vendor.api if vendor else OPENAI_COMPLETIONS)
    if api not in APIS:
        raise ConfigInvalid(f"must be {' or '.join(APIS)}.", key_path=f"{path}.api")
    if api == ANTHROPIC_MESSAGES:
        base_url = base_url.rstrip("/").removesuffix("/v1")
    key = _text(entry, "apiKey", path)
    if not key and vendor:
        key = environ.get(vendor.key_variable, "")
        if not key and base_url == vendor.base_url:
            raise ConfigInvalid(
                f"must be set, or {vendor.key_variable} in the environment.",
                key_path=f"{path}.apiKey",
            )
    headers = entry.get("headers")
    return ProviderSettings(
        id=provider_id,
        api=api,
        base_url=base_url,
        api_key=key or NO_KEY,
        models=_models(entry.get("models"), path),
        headers={str(name): str(value) for name, value in headers.items()}
        if isinstance(headers, dict)
        else {},
    )


def _base_url(
    entry: Mapping[str, Any],
    vendor: _Vendor | None,
    environ: Mapping[str, str],
    path: str,
) -> str:
    source, url = f"{path}.baseUrl", _text(entry, "baseUrl", path)
    if not url and vendor:
        url = environ.get(vendor.url_variable, "")
        source = vendor.url_variable if url else source
        url = url or vendor.base_url
    if not url:
        raise ConfigInvalid("must be set.", key_path=source)
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_usable = is_usable and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigInvalid("must be an http or https URL.", key_path=source)
    return url


def _text(entry: Mapping[str, Any], key: str, path: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigInvalid("must be a text.", key_path=f"{path}.{key}")
    return value


def _models(value: Any, path: str) -> dict[str, ModelInfo]:
    if value is None:
        return {}
    if not isinstance(value, list):
        raise ConfigInvalid("must be a list.", key_path=f"{path}.models")
    known: dict[str, ModelInfo] = {}
    for index, entry in enumerate(value):
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
            raise ConfigInvalid(
                "must be an object with an id.", key_path=f"{path}.models[{index}]"
            )
        known[entry["id"]] = ModelInfo(
            context_window=_count(entry.get("contextWindow")),
            max_tokens=_count(entry.get("maxTokens")),
            is_reasoning=entry.get("reasoning")
            if isinstance(entry.get("reasoning"), bool)
            else None,
        )
    return known


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
