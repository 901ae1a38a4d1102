"""The life of calls: from the order to the end, with everything that is reported.

Source: Twilio's "Call resource" and "Call progress events" pages.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from voice_call.testing.twilio_network.callees import Behaviour, Callee
from voice_call.testing.twilio_network.line import CallLine
from voice_call.testing.twilio_network.orders import (
    CallOrder,
    CallUpdate,
    Instructions,
    Refusal,
    StatusOrder,
)
from voice_call.testing.twilio_network.parameters import (
    amd_params,
    recording_params,
    status_params,
)
from voice_call.testing.twilio_network.phone_call import PhoneCall, Recording
from voice_call.testing.twilio_network.records import CallStatus, WebhookKind
from voice_call.testing.twilio_network.script import Jump, Script
from voice_call.testing.twilio_network.wiring import new_sid

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.testing.twilio_network.orders import AmdOrder
    from voice_call.testing.twilio_network.wiring import Wiring

__all__ = ["Exchange"]

RECORDING_LIMIT_BYTES = 600 * 8000
"""Ten minutes of what a callee hears through media streams are kept."""


class Exchange:
    """Rings, connects and ends calls.

    Args:
        wiring: What the network shares.
        find_callee: Says who is at a number.
        calls_per_second: How fast queued calls are dialled; None for at once.

    Attributes:
        calls: Every call, oldest first, by sid.
    """

    def __init__(
        self,
        wiring: Wiring,
        *,
        find_callee: Callable[[str], Callee],
        calls_per_second: float | None,
    ) -> None:
        self.calls: dict[str, PhoneCall] = {}
        self._wiring = wiring
        self._find_callee = find_callee
        self._gap_s = 0.0 if calls_per_second is None else 1 / calls_per_second
        self._next_dial_at = 0.0
        self._reports: dict[str, asyncio.Task[None]] = {}

    # -- beginnings --------------------------------------------------------------------

    def place(self, order: CallOrder) -> PhoneCall:
        """Queue an outbound call."""
        call = self._new_call(order, "outbound-api", self._find_callee(order.to))
        call.lifecycle = self._wiring.start_task(self._dial(call))
        return call

    def offer(self, order: CallOrder, caller: Callee) -> PhoneCall:
        """Let somebody call in."""
        call = self._new_call(order, "inbound", caller)
        call.status = CallStatus.RINGING
        call.dialed_at = self._wiring.clock.now()
        self._follow(call, Jump(instructions=order.instructions))
        return call

    def _new_call(self, order: CallOrder, direction: str, callee: Callee) -> PhoneCall:
        call = PhoneCall(
            sid=new_sid("CA"),
            account_sid=self._wiring.account_sid,
            order=order,
            direction=direction,
            callee=callee,
            created_at=self._wiring.clock.now(),
            hang_up_call=lambda call: self.end(call, CallStatus.COMPLETED),
            changed=self._wiring.changed,
            line=CallLine(
                callee.end(), self._wiring.pacer, limit_bytes=RECORDING_LIMIT_BYTES
            ),
            replies=list(callee.replies),
        )
        call.line.end.connect(call)
        self.calls[call.sid] = call
        self._wiring.changed()
        return call

    async def _dial(self, call: PhoneCall) -> None:
        clock, callee = self._wiring.clock, call.callee
        now = clock.now()
        dial_at = max(now, self._next_dial_at)
        self._next_dial_at = dial_at + self._gap_s
        await asyncio.sleep(dial_at - now)
        call.dialed_at = clock.now()
        self._report(call, "initiated", "initiated")
        await asyncio.sleep(self._wiring.timing.dial_s)
        if callee.behaviour is Behaviour.UNREACHABLE:
            self.end(call, CallStatus.FAILED)
            return
        self._set_status(call, CallStatus.RINGING)
        self._report(call, "ringing", "ringing")
        timeout_s = call.order.timeout_s
        if callee.behaviour is Behaviour.NO_ANSWER or callee.ring_s > timeout_s:
            await asyncio.sleep(timeout_s)
            self.end(call, CallStatus.NO_ANSWER)
            return
        await asyncio.sleep(callee.ring_s)
        if callee.behaviour is Behaviour.BUSY:
            self.end(call, CallStatus.BUSY)
            return
        self.pick_up(call)
        await self._begin(call)

    async def _begin(self, call: PhoneCall) -> None:
        call.heard_digits += call.order.send_digits.translate({119: None, 87: None})
        amd = call.order.amd
        if amd is not None and amd.is_async:
            self._wiring.spawn(self._detect_beside(call, amd))
        elif amd is not None:
            call.answered_by = (await self._detect(call, amd))[0]
        self._follow(call, Jump(instructions=call.order.instructions))

    def pick_up(self, call: PhoneCall) -> None:
        """Connect a call; harmless when it is connected or over."""
        if call.answered_at is not None or call.status.is_final:
            return
        call.answered_at = self._wiring.clock.now()
        self._set_status(call, CallStatus.IN_PROGRESS)
        self._report(call, "answered", "in-progress")
        limit_s = call.order.time_limit_s or self._wiring.timing.time_limit_s
        self._end_later(call, limit_s)
        if call.callee.hangs_up_after_s is not None:
            self._end_later(call, call.callee.hangs_up_after_s)
        if call.order.records:
            self.record(call, source="OutboundAPI", url=call.order.recording_url)

    # -- answering-machine detection ---------------------------------------------------

    async def _detect(self, call: PhoneCall, amd: AmdOrder) -> tuple[str, float]:
        duration_s = min(call.callee.detection_s, amd.timeout_s)
        await asyncio.sleep(duration_s)
        if call.callee.is_machine is None or call.callee.detection_s > amd.timeout_s:
            return "unknown", duration_s
        if not call.callee.is_machine:
            return "human", duration_s
        return (
            "machine_end_beep" if amd.waits_for_end else "machine_start"
        ), duration_s

    async def _detect_beside(self, call: PhoneCall, amd: AmdOrder) -> None:
        verdict, duration_s = await self._detect(call, amd)
        if call.status.is_final:
            return
        call.answered_by = verdict
        if amd.url is not None:
            params = amd_params(call, verdict=verdict, duration_s=duration_s)
            await self._deliver(WebhookKind.AMD, amd.url, params, amd.method)

    # -- changes -----------------------------------------------------------------------

    def update(self, call: PhoneCall, change: CallUpdate) -> None:
        """Change a live call.

        Raises:
            Refusal: 21220 for other instructions where no call is connected; 20404 for
                another status of a call that is over.
        """
        if change.instructions is not None:
            if call.status is not CallStatus.IN_PROGRESS:
                raise Refusal(21220, "Call is not in-progress. Cannot redirect.")
            self._follow(call, Jump(instructions=change.instructions))
        if change.time_limit_s is not None and call.answered_at is not None:
            left_s = call.answered_at + change.time_limit_s - self._wiring.clock.now()
            self._end_later(call, max(0.0, left_s))
        if change.status_callback is not None:
            self._change_status_callback(call, change.status_callback)
        if change.status is None:
            return
        if call.status.is_final:
            raise Refusal(20404, f"Call {call.sid} is over", status=404)
        if call.status is not CallStatus.IN_PROGRESS:
            self.end(call, CallStatus.CANCELED)
        elif change.status == "completed":
            self.end(call, CallStatus.COMPLETED)

    def _change_status_callback(self, call: PhoneCall, url: str) -> None:
        status = replace(call.order.status, url=url)
        call.order = replace(call.order, status=status)

    def record(
        self,
        call: PhoneCall,
        *,
        source: str,
        url: str | None,
        channels: int = 1,
        track: str = "both",
    ) -> Recording:
        """Begin to record."""
        recording = Recording(
            sid=new_sid("RE"),
            source=source,
            started_at=self._wiring.clock.now(),
            callback_url=url,
            channels=channels,
            track=track,
        )
        call.recordings.append(recording)
        return recording

    def finish_recording(self, call: PhoneCall, recording: Recording) -> None:
        """End a recording and report it; harmless when it has ended."""
        if recording.ended_at is not None:
            return
        recording.ended_at = self._wiring.clock.now()
        recording.status = "completed"
        if recording.callback_url is not None:
            params = recording_params(call, recording)
            work = self._deliver(WebhookKind.RECORDING, recording.callback_url, params)
            self._wiring.spawn(work)

    def end(self, call: PhoneCall, status: CallStatus) -> None:
        """End a call; harmless when it has ended."""
        if call.status.is_final:
            return
        call.ended_at = self._wiring.clock.now()
        self._set_status(call, status)
        for timer in call.timers:
            timer.cancel()
        for stream in call.streams:
            stream.stop()
        for recording in call.recordings:
            self.finish_recording(call, recording)
        self._report(call, "completed", str(status))
        call.has_ended.set()
        self._cancel(call.lifecycle)
        self._cancel(call.script)
        self._wiring.changed()

    async def wait_settled(self, call: PhoneCall) -> None:
        """Wait until everything that a call has begun is done with."""
        tasks = (call.lifecycle, call.script, self._reports.get(call.sid))
        pending = [task for task in tasks if task is not None]
        await asyncio.gather(*pending, return_exceptions=True)

    def _end_later(self, call: PhoneCall, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(delay_s, self.end, call, CallStatus.COMPLETED)
        call.timers.append(timer)

    def _follow(self, call: PhoneCall, jump: Jump) -> None:
        previous, script = call.script, Script(call, self._wiring, self)
        self._cancel(previous)

        async def run() -> None:
            if previous is not None:  # it stops its stream before this one begins
                await asyncio.gather(previous, return_exceptions=True)
            self.end(call, await script.run(jump))

        call.script = self._wiring.start_task(run())

    @staticmethod
    def _cancel(task: asyncio.Task[None] | None) -> None:
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    # -- reports -----------------------------------------------------------------------

    def _set_status(self, call: PhoneCall, status: CallStatus) -> None:
        call.status = status
        call.updated_at = self._wiring.clock.now()
        self._wiring.changed()

    def _report(self, call: PhoneCall, event: str, call_status: str) -> None:
        order = call.order.status
        number, call.sequence_number = call.sequence_number, call.sequence_number + 1
        if order.url is None or event not in order.events:
            return
        now = self._wiring.clock.now()
        params = status_params(call, call_status=call_status, number=number, at=now)
        fault = self._wiring.courier.take_fault(WebhookKind.STATUS, params)
        before = self._reports.get(call.sid)

        async def deliver(url: str) -> None:
            if before is not None:  # in order, unless a fault wants it otherwise
                await asyncio.gather(before, return_exceptions=True)
            answer = await self._wiring.courier.deliver(
                WebhookKind.STATUS, url, params, method=order.method, fault=fault
            )
            if answer.error is not None and not (fault and fault.is_lost):
                message = "status callback: HTTP failure"
                self._wiring.log_error(answer.error, message, call_sid=call.sid)

        task = self._wiring.start_task(deliver(order.url))
        if fault is None or not fault.delay_s:
            self._reports[call.sid] = task

    async def _deliver(
        self,
        kind: WebhookKind,
        url: str,
        params: dict[str, str],
        method: str = "POST",
    ) -> None:
        courier = self._wiring.courier
        fault = courier.take_fault(kind, params)
        answer = await courier.deliver(kind, url, params, method=method, fault=fault)
        if answer.error is not None and not (fault and fault.is_lost):
            message = f"{kind} callback: HTTP failure"
            self._wiring.log_error(answer.error, message, call_sid=params["CallSid"])


def inbound_order(
    from_: str,
    to: str,
    *,
    instructions: Instructions,
    status_callback: str | None,
) -> CallOrder:
    """Return an order as the configuration of a number makes it."""
    return CallOrder(
        to=to,
        from_=from_,
        instructions=instructions,
        status=StatusOrder(url=status_callback),
    )
