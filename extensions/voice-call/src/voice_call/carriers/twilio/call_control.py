"""Twilio's REST API for calls.

Source: Twilio's OpenAPI document `twilio_api_v2010` and its page on the Call resource. A
call is created once: Twilio has no idempotency key, so a creation without an answer is
never sent again.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from voice_call.call.model import CarrierCallId, EndCause
from voice_call.carriers.base import (
    CarrierStatus,
    GatherSpeech,
    KeepWaiting,
    ReportPlayed,
)
from voice_call.carriers.http_client import Reply, RestClient, Trouble
from voice_call.carriers.markup import element, render
from voice_call.carriers.twilio.twiml import (
    Callbacks,
    keys_document,
    notice_document,
    plan_document,
)
from voice_call.carriers.twilio.webhooks import ENDINGS
from voice_call.errors import (
    CarrierRefused,
    CarrierUnreachable,
    ConfigError,
    Unsupported,
)

if TYPE_CHECKING:
    import httpx

    from voice_call.call.model import Digit
    from voice_call.carriers.base import CallRef, DialOrder, PlanStep

__all__ = ["REGION_ORIGINS", "TwilioAccount", "TwilioCallControl"]

REGION_ORIGINS = {
    "us1": "https://api.twilio.com",
    "ie1": "https://api.dublin.ie1.twilio.com",
    "au1": "https://api.sydney.au1.twilio.com",
}
"""The REST host of each region. Source: Twilio's page on the API in other regions."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LIVE = frozenset({"queued", "initiated", "ringing", "in-progress"})
_STATUS_EVENTS = ("initiated", "ringing", "answered", "completed")
_MAX_INLINE_CHARACTERS = 4000  # error 32018
_MAX_RING_S = 600
_MAX_DURATION_S = 86_400
_NOT_FOUND = 404
_NOT_IN_PROGRESS = "21220"
"""Twilio's code for an update of a call that is not connected: not yet, or no more."""
_RACE_PAUSES_S = (0.25, 0.75)
"""How long to wait for a call that Twilio has just connected, before trying again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwilioAccount:
    """Whose calls, and how they sound where Twilio speaks.

    Attributes:
        sid: The account's SID, `AC…`.
        origin: Scheme and host of the REST API.
        webhook_url: The public webhook URL, for calls whose dial names no other.
        has_streams: True where conversations have a media stream.
        voice: What Twilio's own voice is called, None for a fitting one.
        language: Of Twilio's own voice, BCP 47.
    """

    sid: str
    origin: str
    webhook_url: str | None = None
    has_streams: bool = True
    voice: str | None = None
    language: str = "en-US"


class TwilioCallControl:
    """The command side of Twilio."""

    def __init__(
        self,
        account: TwilioAccount,
        *,
        auth_token: str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take the account; nothing is sent yet.

        Args:
            account: Whose calls.
            auth_token: Its secret.
            transport: A peer in the process instead of the network.

        Raises:
            ConfigError: The account's SID is not one.
        """
        if _ID.fullmatch(account.sid) is None:
            raise ConfigError(
                "this is not an account SID: copy it from Twilio's console (AC…).",
                key_path="plugins.entries.voice-call.config.twilio.accountSid",
            )
        self._account = account
        self._webhook_url = account.webhook_url
        self._calls = f"/2010-04-01/Accounts/{account.sid}/Calls"
        self._rest = RestClient(
            carrier="twilio",
            origin=account.origin,
            explain=_explain,
            user=account.sid,
            password=auth_token,
            secrets=(auth_token, account.sid),
            transport=transport,
        )

    # -- a call's beginning ------------------------------------------------------------

    async def dial(self, order: DialOrder) -> CarrierCallId:
        """Place a call.

        A one-way message goes inline, so that it is heard even where the webhook cannot
        be reached; a longer one, and a conversation, is asked for at the webhook.

        Raises:
            CarrierRefused: Twilio said no, or there is no URL for it to call back.
            CarrierUnreachable: No answer; the call may have been placed.
        """
        self._webhook_url = order.webhook_url or self._webhook_url
        reply = await self._rest.send(
            "POST", f"{self._calls}.json", form=self._form(order)
        )
        sid = reply.document().get("sid")
        if not isinstance(sid, str) or _ID.fullmatch(sid) is None:
            raise CarrierUnreachable(
                "twilio answered without a call SID: check apiBaseUrl.",
                carrier="twilio",
                status=reply.status,
            )
        return CarrierCallId(sid)

    def _form(self, order: DialOrder) -> list[tuple[str, str]]:
        ring_s = min(max(math.ceil(order.ring_timeout_s), 1), _MAX_RING_S)
        duration_s = min(max(math.ceil(order.max_duration_s), 1), _MAX_DURATION_S)
        form = [("To", order.to), ("From", order.from_)]
        form += self._instructions(order)
        form += [("Timeout", str(ring_s)), ("TimeLimit", str(duration_s))]
        if self._webhook_url is None:
            return form
        callbacks = Callbacks(url=self._webhook_url, call_id=order.call_id)
        form += [
            ("StatusCallback", callbacks.report("status")),
            ("StatusCallbackMethod", "POST"),
            *(("StatusCallbackEvent", event) for event in _STATUS_EVENTS),
        ]
        if order.machine_detection:
            # A person is reported at once, a machine when its greeting is over.
            form += [
                ("MachineDetection", "DetectMessageEnd"),
                ("AsyncAmd", "true"),
                ("AsyncAmdStatusCallback", callbacks.report("amd")),
                ("AsyncAmdStatusCallbackMethod", "POST"),
            ]
        return form

    def _instructions(self, order: DialOrder) -> list[tuple[str, str]]:
        if order.notify_text is not None:
            inline = self._notice(order.notify_text)
            if len(inline) <= _MAX_INLINE_CHARACTERS:
                return [("Twiml", inline)]
        if self._webhook_url is None:
            raise CarrierRefused(
                "twilio needs a public URL to ask for the call's instructions, or a "
                "shorter message: set publicUrl or a tunnel.",
                carrier="twilio",
            )
        callbacks = Callbacks(url=self._webhook_url, call_id=order.call_id)
        return [("Url", callbacks.instructions()), ("Method", "POST")]

    async def answer(self, call: CallRef) -> None:
        """Have the call's end reported; the answer to its webhook picks it up.

        Twilio reports the end of an inbound call only where a "call status changes" URL
        is set for the number, which many never do, or for the call.

        Raises:
            CarrierError: Twilio did not take it.
        """
        if self._webhook_url is None:
            return
        report = self._callbacks(call, None).report("status")
        await self._rest.send(
            "POST",
            self._path(call),
            form=[("StatusCallback", report), ("StatusCallbackMethod", "POST")],
            accept=(_NOT_FOUND,),
            is_repeatable=True,
        )

    async def reject(
        self, call: CallRef, *, cause: EndCause, notice: str | None
    ) -> None:
        """Refuse an inbound call, after saying `notice`."""
        if notice is None:
            reason = "busy" if cause is EndCause.ALL_LINES_BUSY else "rejected"
            refusal = element("Response", None, element("Reject", {"reason": reason}))
            document = render(refusal)
        else:
            document = self._notice(notice)
        try:
            await self._rest.send(
                "POST",
                self._path(call),
                form=[("Twiml", document)],
                accept=(_NOT_FOUND,),
            )
        except CarrierRefused:  # Twilio takes no TwiML for a call in this state
            await self.hang_up(call)

    # -- a live call -------------------------------------------------------------------

    async def act(self, call: CallRef, steps: tuple[PlanStep, ...]) -> None:
        """Make a live call take these steps now.

        New TwiML ends a media stream: this is for calls without one.

        Raises:
            CarrierError: Twilio did not take them, or there is no URL to call back.
        """
        callbacks = self._callbacks(call, _reporting_url(steps))
        await self._update(call, plan_document(steps, callbacks))

    async def send_digits(self, call: CallRef, digits: tuple[Digit, ...]) -> None:
        """Send DTMF digits on a live call without a media stream.

        Raises:
            Unsupported: The calls of this account have streams, which this would end.
            CarrierError: Twilio did not take them, or there is no URL to call back.
        """
        if self._account.has_streams:
            raise Unsupported(
                "Twilio cannot send digits on a call with a media stream: it would end "
                "the stream. Switch streaming.enabled off for calls that need digits."
            )
        await self._update(call, keys_document(digits, self._callbacks(call, None)))

    def _callbacks(self, call: CallRef, url: str | None) -> Callbacks:
        url = url or self._webhook_url
        if url is None:
            raise CarrierRefused(
                "twilio needs a public URL to go on with the call: set publicUrl or a "
                "tunnel.",
                carrier="twilio",
            )
        return Callbacks(url=url, call_id=call.call_id, series=secrets.token_hex(8))

    async def _update(self, call: CallRef, document: str) -> None:
        for pause_s in _RACE_PAUSES_S:
            try:
                await self._send_twiml(call, document)
            except CarrierRefused as refusal:
                if refusal.carrier_code != _NOT_IN_PROGRESS:
                    raise
                await asyncio.sleep(pause_s)
            else:
                return
        await self._send_twiml(call, document)

    async def _send_twiml(self, call: CallRef, document: str) -> None:
        await self._rest.send("POST", self._path(call), form=[("Twiml", document)])

    # -- a call's end ------------------------------------------------------------------

    async def hang_up(self, call: CallRef) -> None:
        """End a call; a call that is over already, or unknown, counts as ended."""
        try:
            await self._end(call, "completed")
        except CarrierRefused:
            if await self.fetch_status(call) is CarrierStatus.ENDED:
                return
            await self._end(call, "canceled")

    async def _end(self, call: CallRef, status: str) -> None:
        await self._rest.send(
            "POST",
            self._path(call),
            form=[("Status", status)],
            accept=(_NOT_FOUND,),
            is_repeatable=True,
        )

    async def fetch_status(self, call: CallRef) -> CarrierStatus:
        """Ask whether a call still lives; a call that Twilio does not know has ended."""
        reply = await self._rest.get(self._path(call), accept=(_NOT_FOUND,))
        if reply.status == _NOT_FOUND:
            return CarrierStatus.ENDED
        status = reply.document().get("status")
        if not isinstance(status, str):
            return CarrierStatus.UNKNOWN
        if status in ENDINGS:
            return CarrierStatus.ENDED
        return CarrierStatus.LIVE if status in _LIVE else CarrierStatus.UNKNOWN

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    # -- parts -------------------------------------------------------------------------

    def _path(self, call: CallRef) -> str:
        if _ID.fullmatch(call.carrier_call_id) is None:
            raise CarrierRefused(
                "The call's id is not one of Twilio's.", carrier="twilio"
            )
        return f"{self._calls}/{quote(call.carrier_call_id, safe='')}.json"

    def _notice(self, text: str) -> str:
        account = self._account
        return notice_document(text, voice=account.voice, language=account.language)


def _reporting_url(steps: tuple[PlanStep, ...]) -> str | None:
    """Return where the first step that reports does so."""
    for step in steps:
        if isinstance(step, (GatherSpeech, ReportPlayed, KeepWaiting)) and step.url:
            return step.url
    return None


def _explain(reply: Reply) -> Trouble:
    """Read `{code, message, more_info, status}`."""
    said = reply.document()
    code, message = said.get("code"), said.get("message")
    return Trouble(
        code=str(code) if isinstance(code, int | str) else None,
        message=message if isinstance(message, str) else "",
    )
