"""What can be asked about calls, once for tool, RPC and CLI.

Each operation takes JSON-shaped parameters, as documented for the RPC methods, and
returns a JSON-shaped result. Failures are `VoiceCallError`s with stable codes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from voice_call.call.actions import Ask, End, Say, SendDigits
from voice_call.call.model import CallMode, Digit, EndCause, EndedBy
from voice_call.errors import CallError, UnknownCall, Unsupported, VoiceCallError
from voice_call.phone_numbers import parse_e164
from voice_call.reports.record import full_record, safe_record
from voice_call.runtime.manager import PlaceOrder, check_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_call.call.machine import CallMachine
    from voice_call.carriers.simulated import SimulatedNetwork
    from voice_call.reports.record import CallFacts
    from voice_call.runtime.manager import CallManager
    from voice_call.runtime.session import CallSession

__all__ = ["CallOperations", "ParameterRequired"]

_MOCK_LINE = "+15550000000"
_KEPT_OPERATIONS = 1000
"""Finished `continue.start` operations whose results are kept to be fetched."""


class ParameterRequired(CallError):
    """Raised when a parameter is missing, or not what it has to be."""

    code = "parameter_required"


class CallOperations:
    """Everything that can be asked about calls."""

    def __init__(
        self,
        manager: CallManager,
        *,
        default_to: str | None,
        default_mode: CallMode,
        network: SimulatedNetwork | None = None,
    ) -> None:
        """Take the calls and what holds where a request does not say.

        Args:
            manager: All calls.
            default_to: Whom to call.
            default_mode: What calls are for.
            network: The simulated network, where calls go over it.
        """
        self._manager = manager
        self._default_to = default_to
        self._default_mode = default_mode
        self._network = network
        self._pending: OrderedDict[str, asyncio.Task[dict[str, Any]]] = OrderedDict()

    async def initiate(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Place a call: `message`, `to?`, `mode?`, `sessionKey?`."""
        return await self._place(params, check_message(_text(params, "message")))

    async def start(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Place a call: `to`, `message?`, `mode?`, `sessionKey?`."""
        return await self._place(params, _text(params, "message"))

    async def _place(
        self, params: Mapping[str, Any], message: str | None
    ) -> dict[str, Any]:
        to = _text(params, "to") or self._default_to
        if to is None:
            raise ParameterRequired(
                "to required: name a number, or set toNumber in the configuration."
            )
        session = await self._manager.place(
            PlaceOrder(
                to=to,
                message=message,
                mode=self._mode(params, message),
                session_key=_text(params, "sessionKey"),
            )
        )
        return {"callId": session.opened.call_id, "initiated": True}

    def _mode(self, params: Mapping[str, Any], message: str | None) -> CallMode:
        named = params.get("mode")
        if isinstance(named, str) and named in set(CallMode):
            return CallMode(named)
        return self._default_mode if message else CallMode.CONVERSATION

    async def ask(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Say something and wait for the answer: `callId`, `message`."""
        session = self._connected(params)
        message = check_message(_text(params, "message"))
        transcript = await session.ask(Ask(ask_id=str(uuid.uuid4()), text=message))
        return {"success": True, "transcript": transcript}

    async def ask_start(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Begin to ask and return at once: `callId`, `message`."""
        operation_id = str(uuid.uuid4())
        task = asyncio.get_running_loop().create_task(self.ask(params))
        self._pending[operation_id] = task
        await asyncio.sleep(0)  # a refusal at once is raised at once
        if task.done() and task.exception() is not None:
            del self._pending[operation_id]
            await task
        while len(self._pending) > _KEPT_OPERATIONS:
            _, oldest = self._pending.popitem(last=False)
            oldest.cancel()
        return {"operationId": operation_id, "status": "pending"}

    async def ask_result(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Say how a begun question stands: `operationId`."""
        operation_id = _required(params, "operationId")
        task = self._pending.get(operation_id)
        if task is None:
            raise UnknownCall("No such operation; start a new one.")
        if not task.done():
            return {"operationId": operation_id, "status": "pending"}
        try:
            result = await task
        except VoiceCallError as fault:
            error = {"code": fault.code, "message": str(fault)}
            return {"operationId": operation_id, "status": "failed", "error": error}
        return {"operationId": operation_id, "status": "completed", "result": result}

    async def speak(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Say something: `callId`, `message`."""
        session = self._connected(params)
        message = check_message(_text(params, "message"))
        await session.command(Say(utterance_id=str(uuid.uuid4()), text=message))
        return {"success": True}

    async def send_digits(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Send DTMF digits: `callId`, `digits` of 0-9 * # A-D."""
        session = self._connected(params)
        named = _required(params, "digits").upper()
        try:
            digits = tuple(Digit(each) for each in named)
        except ValueError:
            raise ParameterRequired("digits may be 0-9, *, # and A-D.") from None
        await session.send_digits(SendDigits(digits=digits))
        return {"success": True}

    async def call_in(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Let the simulated network call us: `from?`, `to?`; only on `mock`."""
        if self._network is None:
            raise Unsupported(
                "Only the mock carrier can be told to call in; call your number from "
                "a phone, or set provider to mock."
            )
        from_ = _text(params, "from")
        caller = "" if from_ is None else parse_e164(from_)
        to = _text(params, "to")
        called = _MOCK_LINE if to is None else parse_e164(to)
        carrier_call_id = await self._network.call_in(caller, called)
        return {"providerCallId": carrier_call_id}

    async def end(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """End a call and wait until it is over: `callId`."""
        call_id = _required(params, "callId")
        try:
            session = self._manager.session(call_id)
        except UnknownCall:
            self._manager.describe(call_id)  # an ended call is ended: that is success
            return {"success": True}
        await session.command(End(by=EndedBy.OPERATOR, cause=EndCause.NORMAL))
        await session.wait_closed()
        return {"success": True}

    async def status(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Describe a call, or all live ones, without numbers and words: `callId?`."""
        return self._describe(params, safe_record)

    async def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Describe a call, or all live ones, with numbers and words: `callId?`."""
        return self._describe(params, full_record)

    def _describe(
        self,
        params: Mapping[str, Any],
        record: Callable[[CallMachine, CallFacts], dict[str, Any]],
    ) -> dict[str, Any]:
        call_id = _text(params, "callId") or _text(params, "sid")
        if call_id is None:
            calls = [record(each.machine, each.facts) for each in self._manager.live()]
            return {"found": True, "calls": calls}
        try:
            call = self._manager.describe(call_id)
        except UnknownCall:
            return {"found": False}
        return {"found": True, "call": record(call.machine, call.facts)}

    async def close(self) -> None:
        """Forget the questions that are still waiting."""
        for task in self._pending.values():
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)
        self._pending.clear()

    def _connected(self, params: Mapping[str, Any]) -> CallSession:
        call_id = _required(params, "callId")
        try:
            return self._manager.session(call_id)
        except UnknownCall:
            self._manager.describe(call_id).machine.require_connected()
            raise


def _text(params: Mapping[str, Any], name: str) -> str | None:
    value = params.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ParameterRequired(f"{name} must be text.")
    return value.strip() or None


def _required(params: Mapping[str, Any], name: str) -> str:
    value = _text(params, name)
    if value is None:
        raise ParameterRequired(f"{name} required")
    return value
