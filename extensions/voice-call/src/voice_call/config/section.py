"""The ground of every section: strict, closed, frozen; and the types that sections share."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)
from pydantic.alias_generators import to_camel

from voice_call.errors import InvalidNumber
from voice_call.phone_numbers import parse_e164

__all__ = [
    "AtLeastZero",
    "FreeObject",
    "Milliseconds",
    "Number",
    "Numbers",
    "Origin",
    "Positive",
    "Secret",
    "Section",
    "Text",
    "Texts",
    "UrlPath",
    "WebUrl",
]


class Section(BaseModel):
    """A part of the configuration. Keys are camelCase in files, unknown ones are errors."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


def _e164(text: str) -> str:
    try:
        return parse_e164(text)
    except InvalidNumber as error:
        raise ValueError(str(error)) from error


def _url(text: str) -> str:
    if not _is_web_url(text):
        raise ValueError("expected a URL such as https://phone.example.com/path")
    return text


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    return is_web and parts.username is None  # no secrets in a URL


def _origin(text: str) -> str:
    return _url(text).rstrip("/")


def _path(text: str) -> str:
    if not text.startswith("/") or "?" in text or "#" in text:
        raise ValueError("expected a path that begins with a slash, such as /voice")
    return text


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Number = Annotated[str, AfterValidator(_e164)]
"""A phone number, normalised to E.164."""
Text = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
"""Shown as asterisks wherever it is printed."""
WebUrl = Annotated[str, AfterValidator(_url)]
Origin = Annotated[str, AfterValidator(_origin)]
"""A base URL; a slash at its end is dropped."""
UrlPath = Annotated[str, AfterValidator(_path)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_tuple)]
Numbers = Annotated[tuple[Number, ...], BeforeValidator(_tuple)]
Positive = Annotated[int, Field(gt=0)]
AtLeastZero = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[int, Field(ge=1000, le=120_000)]
FreeObject = dict[str, Any]
"""A JSON object whose keys are somebody else's business."""
