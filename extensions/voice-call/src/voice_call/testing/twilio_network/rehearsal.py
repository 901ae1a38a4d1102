"""One call of a user's own plugin over the simulated Twilio, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from voice_call.clock import SystemClock
from voice_call.simulate import Stage
from voice_call.testing.twilio_network.callees import Callee
from voice_call.testing.twilio_network.network import TwilioNetwork
from voice_call.testing.twilio_network.records import CallStatus, WebhookKind
from voice_call.testing.twilio_network.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_call.simulate import RehearsalPlan
    from voice_call.testing.twilio_network.phone_call import PhoneCall

__all__ = ["TwilioRehearsal"]

_SID, _TOKEN = "AC" + "0" * 32, "simulated-auth-token"
_UNAUTHORIZED, _NOT_FOUND = 401, 404
_NAMES = (
    "dial",
    "webhook reached",
    "signature accepted",
    "stream opened",
    "first audio",
    "opening heard",
    "hang-up",
)


class _Ear:
    """Listens on a media stream for the first sound."""

    def __init__(self) -> None:
        self.first_sound_at: float | None = None

    def connect(self, call: PhoneCall) -> None:
        """Take no interest in the call."""

    def on_audio(self, frame: bytes) -> None:
        """Note when the first frame that is not silence is heard."""
        if self.first_sound_at is None and len(set(frame)) > 1:
            self.first_sound_at = SystemClock().now()

    def next_frame(self) -> bytes | None:
        """Say nothing."""
        return None


class TwilioRehearsal:
    """Twilio, a tunnel and a callee for one call.

    Args:
        plan: The user's settings, and where the plugin is.
        notes: Takes what had to be assumed.
    """

    def __init__(self, plan: RehearsalPlan, notes: list[str]) -> None:
        self._plan = plan
        self._ear = _Ear()
        twilio = plan.config.twilio
        given = twilio.auth_token
        self._sid = twilio.account_sid or _SID
        self._token = _TOKEN if given is None else given.get_secret_value()
        if twilio.account_sid is None or given is None:
            notes.append(
                "twilio.accountSid or twilio.authToken is not set; made-up ones stand in."
            )
        self._network = TwilioNetwork(
            self._sid,
            self._token,
            tunnels=self._tunnels(notes),
            callees={plan.to: Callee(end=lambda: self._ear)},
        )

    def _tunnels(self, notes: list[str]) -> list[Tunnel]:
        plan, public = self._plan, urlsplit(self._plan.public_url)
        local = f"http://127.0.0.1:{plan.port}"
        tunnels = [Tunnel(public=f"{public.scheme}://{public.netloc}", local=local)]
        path = plan.config.serve.path
        if public.path != path:
            notes.append(
                f"publicUrl leads to {public.path or '/'} and serve.path is {path}: "
                "your proxy has to translate one into the other, as it does here."
            )
            tunnels.append(Tunnel(public=plan.public_url, local=local + path))
        return tunnels

    async def start(self) -> Mapping[str, Any]:
        """Begin to serve; returns the settings that lead the plugin here."""
        origin = await self._network.start()
        account = {"accountSid": self._sid, "authToken": self._token}
        return {"twilio": {**account, "apiBaseUrl": origin}}

    async def stop(self) -> None:
        """Stop, whatever is going on."""
        await self._network.stop()

    @property
    def is_over(self) -> bool:
        """Whether the call was placed and has ended."""
        return self._call is not None and self._call.has_ended.is_set()

    # -- judgement ---------------------------------------------------------------------

    def stages(self, record: Mapping[str, Any]) -> tuple[Stage, ...]:
        """Judge the call; what follows a failed stage was not reached."""
        checks = (
            self._dial(record),
            self._webhook(),
            self._signature(),
            self._stream(),
            self._first_audio(),
            self._opening(record),
            self._hang_up(record),
        )
        stages: list[Stage] = []
        has_failed = False
        for name, (passed, detail) in zip(_NAMES, checks, strict=True):
            if has_failed:
                stages.append(Stage(name=name, passed=None, detail="not reached"))
            else:
                stages.append(Stage(name=name, passed=passed, detail=detail))
            has_failed = has_failed or passed is False
        return tuple(stages)

    @property
    def _call(self) -> PhoneCall | None:
        return next(iter(self._network.calls), None)

    def _complaints(self) -> str:
        """Return what Twilio's error log would show."""
        errors = {f"{each.code}: {each.message}" for each in self._network.errors}
        return "; ".join(sorted(errors)) or "nothing came"

    def _statuses(self) -> list[int]:
        return [
            attempt.status
            for webhook in self._network.webhooks
            for attempt in webhook.attempts
            if attempt.status is not None
        ]

    def _dial(self, record: Mapping[str, Any]) -> tuple[bool, str]:
        if self._call is not None:
            return True, f"Twilio created {self._call.sid}"
        ending = record.get("ending") or {}
        return False, str(ending.get("detail") or "Twilio was not asked")

    def _webhook(self) -> tuple[bool, str]:
        statuses = self._statuses()
        if not statuses:
            return False, f"{self._plan.public_url}: {self._complaints()}"
        if _NOT_FOUND in statuses:
            return False, "404: publicUrl has to lead to serve.path"
        return True, f"{len(statuses)} webhooks to {self._plan.public_url}"

    def _signature(self) -> tuple[bool, str]:
        statuses = self._statuses()
        if _UNAUTHORIZED in statuses:
            return False, "401: check twilio.authToken, publicUrl and webhookSecurity"
        if bad := [status for status in statuses if status >= 400]:  # noqa: PLR2004 - HTTP's errors
            return False, f"accepted, and answered with {bad[0]}"
        if self._plan.config.skip_signature_verification:
            return True, "not checked: skipSignatureVerification is on"
        return True, "each of them"

    def _stream(self) -> tuple[bool | None, str]:
        if not self._plan.config.streaming.enabled:
            return None, "streaming.enabled is false: Twilio's own voice and ears"
        streams = [] if self._call is None else self._call.streams
        opened = [each for each in streams if each.frames_sent]
        if not opened:
            return False, self._complaints()
        return True, opened[0].order.url

    def _first_audio(self) -> tuple[bool, str]:
        call = self._call
        if call is None or call.answered_at is None:
            return False, "nobody picked up"
        at = self._ear.first_sound_at
        if not self._plan.config.streaming.enabled and call.heard_texts:
            at = call.heard_texts[0].started_at
        if at is None:
            return False, self._complaints()
        return True, f"{round((at - call.answered_at) * 1000)} ms after the answer"

    def _opening(self, record: Mapping[str, Any]) -> tuple[bool, str]:
        entries = record.get("transcript") or []
        if not entries or entries[0].get("isCut"):
            return False, f"not to its end ({self._complaints()})"
        return True, str(entries[0]["text"])

    def _hang_up(self, record: Mapping[str, Any]) -> tuple[bool, str]:
        call = self._call
        if call is None or call.status is not CallStatus.COMPLETED:
            return False, "the call goes on at Twilio"
        reports = self._network.webhooks_of(WebhookKind.STATUS, call)
        has_come = any(
            report.params["CallStatus"] == call.status and report.attempts
            for report in reports
        )
        if "endedAt" not in record or not has_come:
            return False, "Twilio's report of the end did not come"
        return True, f"state {record['state']}, as Twilio reported"
