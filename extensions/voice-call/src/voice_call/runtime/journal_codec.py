"""What the journal keeps, and its written form.

One entry is a class name (the *kind*) and the object's fields as JSON. Enums are written
by value. Fields that are missing take their defaults, so an older journal stays readable
when a class gains an optional field; a kind that nobody knows was written by a newer
version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec

from voice_call.call.actions import CallAction, CallCommand, Ignored
from voice_call.call.events import CallEvent
from voice_call.call.model import (  # noqa: TC001 - msgspec resolves them at run time
    CallId,
    CallMode,
    CarrierCallId,
    Direction,
    Ending,
)
from voice_call.errors import JournalCorrupt, JournalTooNew

__all__ = [
    "KINDS",
    "CallOpened",
    "CallSummary",
    "JournalEntry",
    "Journaled",
    "decode",
    "encode",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOpened:
    """The first entry of every call: everything needed to build its machine again.

    Attributes:
        call_id: Our id.
        carrier: The carrier's short name.
        direction: Who placed the call.
        mode: What an outbound call is for; `CONVERSATION` for inbound ones.
        from_: Caller, E.164, empty if withheld.
        to: Callee, E.164.
        session_key: Which conversation memory the agent uses.
        opening: The first message or the greeting, if any.
        limits: The machine's limits, a free JSON object.
        carrier_call_id: The carrier's id, where it is known from the start.
    """

    call_id: CallId
    carrier: str
    direction: Direction
    mode: CallMode
    from_: str
    to: str
    session_key: str
    opening: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    carrier_call_id: CarrierCallId | None = None


Journaled = CallOpened | CallEvent | CallCommand | CallAction
"""What can be written. Replay needs `CallOpened`, events, commands and `CallEnded`; the
other actions may be kept for people who read the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One line of the journal.

    Attributes:
        seq: Position in the whole journal; grows, may skip.
        call_id: The call.
        at: When it happened, in seconds since 1970.
        what: What happened.
        dedupe_key: Under which key a repetition is recognised.
    """

    seq: int
    call_id: CallId
    at: float
    what: Journaled
    dedupe_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSummary:
    """One call in a list of calls.

    Attributes:
        opened_at: When it began, in seconds since 1970; `answered_at` and `ended_at`
            likewise, None if it has not happened.
        carrier_call_id: The carrier's latest id of the call.
        ending: How it ended, None while it is open.
    """

    call_id: CallId
    carrier: str
    carrier_call_id: CarrierCallId | None
    direction: Direction
    mode: CallMode
    from_: str
    to: str
    session_key: str
    opened_at: float
    answered_at: float | None
    ended_at: float | None
    ending: Ending | None


KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        CallOpened,
        *get_args(CallEvent),
        *get_args(CallCommand),
        *get_args(CallAction),
    )
}
"""Every class that an entry may hold, by the name it is written under."""


def encode(what: Journaled) -> tuple[str, str]:
    """Return the kind and the JSON body of something.

    Text that is no valid Unicode (lone surrogates, which JSON of a peer can smuggle in)
    is kept with replacement characters.
    """
    fields = msgspec.to_builtins(what, enc_hook=_plain)
    if isinstance(what, Ignored):
        fields["event"] = {"kind": type(what.event).__name__, "fields": fields["event"]}
    try:
        body = msgspec.json.encode(fields)
    except UnicodeEncodeError:
        body = msgspec.json.encode(_valid_unicode(fields))
    return type(what).__name__, body.decode()


def decode(kind: str, body: str) -> Journaled:
    """Return what an entry holds.

    Raises:
        JournalTooNew: The kind is unknown.
        JournalCorrupt: The body does not fit the kind.
    """
    if kind not in KINDS:
        raise JournalTooNew(
            f"The journal holds an entry of the unknown kind {kind!r}: a newer version "
            "wrote it. Install that version again."
        )
    try:
        if kind == Ignored.__name__:
            return _decode_ignored(msgspec.json.decode(body))
        what: Journaled = msgspec.json.decode(body, type=KINDS[kind])
    except (msgspec.MsgspecError, UnicodeError, KeyError, TypeError) as error:
        raise JournalCorrupt(
            f"The journal holds a damaged entry of kind {kind}. Move the journal's file "
            "away to start with an empty one."
        ) from error
    return what


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"The journal cannot keep a {type(value).__name__}.")


def _decode_ignored(fields: Any) -> Ignored:
    event = decode(
        fields["event"]["kind"], msgspec.json.encode(fields["event"]["fields"]).decode()
    )
    if not isinstance(event, CallEvent):
        raise TypeError("only events are ignored")
    return Ignored(event=event, why=msgspec.convert(fields["why"], str))


def _valid_unicode(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case dict():
            return {_valid_unicode(k): _valid_unicode(v) for k, v in value.items()}
        case list() | tuple():
            return [_valid_unicode(item) for item in value]
        case _:
            return value
