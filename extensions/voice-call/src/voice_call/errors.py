"""Everything that can go wrong, as one tree.

Each class has one stable `code`, which tool, RPC and CLI show unchanged, and one
sentence that says what to do. No message carries a secret, a full phone number or
words that were spoken on a call.

    VoiceCallError
    ├── ConfigError             config_invalid       a setting is wrong; names its key path
    ├── CallError
    │   ├── MessageRequired     message_required     a message is empty
    │   ├── MessageTooLong      message_too_long     a message is over the limit
    │   ├── InvalidNumber       invalid_number       not an E.164 number
    │   ├── NumberRefused       number_refused       an emergency number, or refused by policy
    │   ├── UnknownCall         unknown_call         no such call
    │   ├── CallOver            call_ended           the call has ended
    │   ├── NotConnected        not_connected        nobody has picked up yet
    │   ├── TurnInProgress      turn_in_progress     one `continue` at a time
    │   ├── TranscriptTimeout   transcript_timeout   the other side said nothing in time
    │   ├── LimitReached        limit_reached        too many calls at once
    │   ├── Unsupported         unsupported          the carrier cannot do this
    │   └── ShuttingDown        shutting_down        the Gateway drains its calls
    ├── CarrierError
    │   ├── CarrierRefused      carrier_refused      the carrier said no
    │   └── CarrierUnreachable  carrier_unreachable  the carrier did not answer
    ├── RemoteProtocolError     protocol_error       a peer sent what it must not send
    ├── SpeechError             speech_failed        an engine failed
    │   └── EngineMissing       engine_missing       an engine's package is not installed
    ├── AgentError              agent_failed         the agent failed or took too long
    └── JournalError
        ├── JournalUnwritable   journal_unwritable   the state directory cannot be written
        ├── JournalCorrupt      journal_corrupt      the journal is damaged
        └── JournalTooNew       journal_too_new      written by a newer version
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AgentError",
    "CallError",
    "CallOver",
    "CarrierError",
    "CarrierRefused",
    "CarrierUnreachable",
    "ConfigError",
    "EngineMissing",
    "InvalidNumber",
    "JournalCorrupt",
    "JournalError",
    "JournalTooNew",
    "JournalUnwritable",
    "LimitReached",
    "MessageRequired",
    "MessageTooLong",
    "NotConnected",
    "NumberRefused",
    "RemoteProtocolError",
    "ShuttingDown",
    "SpeechError",
    "TranscriptTimeout",
    "TurnInProgress",
    "UnknownCall",
    "Unsupported",
    "VoiceCallError",
]


class VoiceCallError(Exception):
    """Any failure of the voice-call plugin.

    Attributes:
        code: Stable, machine-readable name of the failure class.
        is_request_fault: True where the request itself is wrong, so that sending it
            again unchanged cannot help.
    """

    code: ClassVar[str] = "internal_error"
    is_request_fault: ClassVar[bool] = False


class ConfigError(VoiceCallError):
    """Raised when a setting is missing, unknown or out of range.

    Attributes:
        key_path: Where the setting lives, from the root of the configuration file.
    """

    code = "config_invalid"

    def __init__(self, message: str, *, key_path: str) -> None:
        super().__init__(f"{key_path}: {message}")
        self.key_path = key_path


class CallError(VoiceCallError):
    """Raised when a request about a call cannot be carried out."""

    code = "call_failed"
    is_request_fault = True


class MessageRequired(CallError):
    """Raised when a message is empty or only white space."""

    code = "message_required"


class MessageTooLong(CallError):
    """Raised when a message is longer than the limit."""

    code = "message_too_long"


class InvalidNumber(CallError):
    """Raised when a number is not in E.164 form."""

    code = "invalid_number"


class NumberRefused(CallError):
    """Raised when a number must not be dialled, whoever asks."""

    code = "number_refused"


class UnknownCall(CallError):
    """Raised when no call has the given id, ours or the carrier's."""

    code = "unknown_call"


class CallOver(CallError):
    """Raised when something is asked of a call that has ended."""

    code = "call_ended"


class NotConnected(CallError):
    """Raised when something needs a connected call and nobody has picked up."""

    code = "not_connected"


class TurnInProgress(CallError):
    """Raised when a `continue` waits already for the other side's answer."""

    code = "turn_in_progress"


class TranscriptTimeout(CallError):
    """Raised when the other side says nothing within `transcriptTimeoutMs`."""

    code = "transcript_timeout"
    is_request_fault = False


class LimitReached(CallError):
    """Raised when a limit on calls is reached; try again when one has ended."""

    code = "limit_reached"
    is_request_fault = False


class Unsupported(CallError):
    """Raised when the carrier has no such ability."""

    code = "unsupported"


class ShuttingDown(CallError):
    """Raised when the Gateway takes no new calls because it is about to stop."""

    code = "shutting_down"
    is_request_fault = False


class CarrierError(VoiceCallError):
    """Raised when a carrier does not do what it was asked to do.

    Attributes:
        carrier: The carrier's name, for example `twilio`.
        retryable: True where the same request may be sent again safely. Never true
            for a dial that may have reached the carrier.
        status: HTTP status, if there was an answer.
        carrier_code: The carrier's own error code, verbatim.
    """

    code = "carrier_failed"

    def __init__(
        self,
        message: str,
        *,
        carrier: str,
        retryable: bool = False,
        status: int | None = None,
        carrier_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.carrier = carrier
        self.retryable = retryable
        self.status = status
        self.carrier_code = carrier_code


class CarrierRefused(CarrierError):
    """Raised when the carrier answered and said no."""

    code = "carrier_refused"


class CarrierUnreachable(CarrierError):
    """Raised when no answer came; the request may or may not have had effect."""

    code = "carrier_unreachable"


class RemoteProtocolError(VoiceCallError):
    """Raised when a peer sends something that its protocol does not allow."""

    code = "protocol_error"


class SpeechError(VoiceCallError):
    """Raised when a speech engine fails.

    Attributes:
        engine: The engine's short name, for example `local`.
        retryable: True where the same text or audio may succeed when sent again.
    """

    code = "speech_failed"

    def __init__(self, message: str, *, engine: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.engine = engine
        self.retryable = retryable


class EngineMissing(SpeechError):
    """Raised when the package of a chosen engine is not installed."""

    code = "engine_missing"


class AgentError(VoiceCallError):
    """Raised when the agent fails, says nothing, or takes too long."""

    code = "agent_failed"


class JournalError(VoiceCallError):
    """Raised when the journal cannot be used."""

    code = "journal_failed"


class JournalUnwritable(JournalError):
    """Raised when the state directory or the disk refuses a write."""

    code = "journal_unwritable"


class JournalCorrupt(JournalError):
    """Raised when the journal's file is not a readable journal."""

    code = "journal_corrupt"


class JournalTooNew(JournalError):
    """Raised when a newer version of the plugin wrote the journal."""

    code = "journal_too_new"
