"""Log lines: a constant message plus fields, never what must stay private.

Loggers end in the standard library's `logging` under the name `voice_call…`, so any
host shows them with its own handlers. Each record carries the line as text and, for
structured handlers, `record.event` (the constant message) and `record.fields`.

Nothing secret gets through: values of fields named like secrets or like spoken words are
dropped, and whatever looks like a phone number is masked down to its last four digits,
in fields, in exceptions given as fields and in the call context alike. Tracebacks are
printed by the host as they are; the plugin's own errors never carry such things.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO, cast

import structlog

from voice_call.phone_numbers import mask

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

__all__ = ["bind_call", "get_logger", "log_to_stream", "redact"]

REDACTED = "[redacted]"

_PRIVATE_WORDS = (
    "token",
    "secret",
    "password",
    "passphrase",
    "authorization",
    "apikey",
    "signature",
    "cookie",
    "credential",
)
"""A field whose name contains one of these holds a secret."""

_SPOKEN_WORDS = frozenset(
    {
        "text",
        "transcript",
        "heard",
        "message",
        "opening",
        "spoken",
        "speech",
        "greeting",
        "prompt",
        "digits",
        "digit",
        "body",
        "payload",
    }
)
"""A field with one of these names holds what was said or pressed on a call."""

_NUMBER_FIELDS = frozenset({"from", "to", "caller", "callee", "number", "peer"})
_PLAIN_NUMBER = re.compile(r"\+[\d\s().-]{6,24}\d")
_BARE_NUMBER = re.compile(r"\+?[\d\s().-]{5,25}\d")
_MAX_DEPTH = 6


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger for a module, `get_logger(__name__)`.

    It does not depend on how, or whether, the host has configured structlog.
    """
    return cast(
        "FilteringBoundLogger",
        structlog.wrap_logger(
            logging.getLogger(name),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.contextvars.merge_contextvars,
                redact,
                _as_record,
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        ),
    )


def bind_call(call_id: str) -> AbstractContextManager[None]:
    """Put `call_id` on each line logged in the `with` block and in tasks it starts."""
    return structlog.contextvars.bound_contextvars(call_id=call_id)


def redact(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Take secrets, spoken words and phone numbers out of a log line.

    A structlog processor, for hosts that run their own chain.
    """
    return {name: _clean(name, value, 0) for name, value in event_dict.items()}


def log_to_stream(stream: TextIO, *, level: int = logging.INFO) -> logging.Handler:
    """Show the plugin's log on a stream; for programs without a logging set-up.

    Returns:
        The handler, so that it can be removed again.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("voice_call")
    logger.addHandler(handler)
    logger.setLevel(level)
    return handler


def _clean(name: str, value: Any, depth: int) -> Any:
    folded = name.lower().replace("_", "").replace("-", "")
    if any(word in folded for word in _PRIVATE_WORDS) or folded in _SPOKEN_WORDS:
        return value if value is None or isinstance(value, bool) else REDACTED
    if depth >= _MAX_DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _clean(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(name, item, depth + 1) for item in value]
    if isinstance(value, str):
        is_number = folded.rstrip("s") in _NUMBER_FIELDS
        return (_BARE_NUMBER if is_number else _PLAIN_NUMBER).sub(_masked, value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {_PLAIN_NUMBER.sub(_masked, str(value))}"
    return value


def _masked(match: re.Match[str]) -> str:
    return mask(match[0])


def _as_record(
    _logger: WrappedLogger, _method: str, event_dict: EventDict
) -> dict[str, Any]:
    event = str(event_dict.pop("event"))
    exc_info = event_dict.pop("exc_info", None)
    shown = " ".join([event, *(f"{k}={_shown(v)}" for k, v in event_dict.items())])
    return {
        "msg": shown,
        "exc_info": exc_info,
        "extra": {"event": event, "fields": dict(event_dict)},
    }


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text) if not text or any(c.isspace() for c in text) else text
