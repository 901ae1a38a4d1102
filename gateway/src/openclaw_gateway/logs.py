"""Where log lines of `openclaw gateway run` go: standard error, as text or JSON.

Every line of the Gateway and of its plugins, whether from structlog or from the standard
library, passes through the same steps: the call it belongs to is added (`call_id`, from
structlog's context), and secrets and phone numbers are taken out. Libraries that tell
about every request are kept to warnings.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["configure_logs", "redact", "set_level"]

LOUD = (
    "anthropic",
    "asyncio",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "openai",
    "uvicorn",
    "websockets",
)
"""Libraries whose information is nobody's concern."""

_PRIVATE = ("token", "secret", "password", "authorization", "apikey", "credential")
_NUMBER = re.compile(r"\+\d[\d\s().-]{5,22}\d")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_IN_URL = re.compile(r"(?i)([?&](?:token|key|secret|signature|password)=)[^&\s]+")
_MAX_DEPTH = 6


# Without local variables: they hold what must not be logged.
_tracebacks = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


class _Threshold:
    """The least level that is shown; can change while the process runs."""

    at_start = logging.INFO
    now = logging.INFO


def configure_logs(*, is_json: bool, level: str = "info") -> None:
    """Set up structlog and the standard library's logging for this process.

    Args:
        is_json: One JSON object per line instead of text for people.
        level: `debug`, `info`, `warning` or `error`.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor]
    if is_json:
        last = [
            _tracebacks,
            redact,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=plain
        )
        last = [redact, renderer]
    structlog.configure(
        processors=[
            _drop_low,
            *shared,
            structlog.processors.StackInfoRenderer(),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, _take_fields],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.getLogger().handlers[:] = [handler]
    _Threshold.at_start = getattr(logging, level.upper())
    set_level(None)


def set_level(level: str | None) -> None:
    """Show lines from a level on; None for the level that the process started with."""
    number = _Threshold.at_start if level is None else getattr(logging, level.upper())
    _Threshold.now = number
    logging.getLogger().setLevel(number)
    for name in LOUD:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def redact(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Take secrets and phone numbers out of a log line."""
    return {name: _clean(name, value, 0) for name, value in event_dict.items()}


def _clean(name: str, value: Any, depth: int) -> Any:
    folded = name.lower().replace("_", "").replace("-", "")
    if any(word in folded for word in _PRIVATE) and isinstance(value, str | bytes):
        return "[redacted]"
    if depth >= _MAX_DEPTH:
        return "[redacted]"
    if isinstance(value, Mapping):
        return {key: _clean(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and name != "exc_info":
        return [_clean(name, item, depth + 1) for item in value]
    if isinstance(value, str):
        value = _NUMBER.sub(lambda found: f"…{found[0][-4:]}", value)
        value = _BEARER.sub(r"\1 [redacted]", value)
        return _IN_URL.sub(r"\1[redacted]", value)
    return value


def _drop_low(_logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
    number = (
        logging.ERROR if method == "exception" else getattr(logging, method.upper())
    )
    if number < _Threshold.now:
        raise structlog.DropEvent
    return event_dict


def _take_fields(_logger: Any, _method: str, event_dict: EventDict) -> EventDict:
    """Show a record's own fields as such, where a plugin gives them beside its text."""
    record = event_dict.get("_record")
    fields = getattr(record, "fields", None)
    event = getattr(record, "event", None)
    if isinstance(fields, Mapping) and isinstance(event, str):
        event_dict["event"] = event
        return {**fields, **event_dict}
    return event_dict
