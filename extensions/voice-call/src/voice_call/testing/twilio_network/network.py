"""A Twilio network that runs on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from voice_call.clock import Clock, SystemClock
from voice_call.testing.twilio_network.callees import Callee
from voice_call.testing.twilio_network.exchange import Exchange, inbound_order
from voice_call.testing.twilio_network.faults import Faults, RestFault, WebhookFault
from voice_call.testing.twilio_network.line import Pacer
from voice_call.testing.twilio_network.orders import Application, Instructions
from voice_call.testing.twilio_network.rest import RestDoor
from voice_call.testing.twilio_network.sockets import MediaDialer, dial_media
from voice_call.testing.twilio_network.webhooks import Courier
from voice_call.testing.twilio_network.wiring import Timing, Wiring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx
    from starlette.applications import Starlette

    from voice_call.testing.twilio_network.phone_call import PhoneCall
    from voice_call.testing.twilio_network.records import (
        NetworkError,
        RestRequest,
        WebhookDelivery,
        WebhookKind,
    )
    from voice_call.testing.twilio_network.tunnel import Tunnel

__all__ = ["TwilioNetwork"]


class TwilioNetwork:
    """Twilio, as far as a voice application can see it: REST, webhooks, media streams.

    Args:
        account_sid: The account, `AC` and 32 hexadecimal digits.
        auth_token: Its secret.
        tunnels: The ways from public URLs to local addresses. A loopback URL needs none.
        callees: Who is at which number.
        other_callee: Who is at every other number.
        applications: What `ApplicationSid` can name.
        timing: How fast the network is.
        calls_per_second: How fast queued calls are dialled; None for at once.
        clock: Of all times that are recorded or reported.
        transport: Carries webhooks instead of the network.
        dial_media: Opens media streams instead of the network.

    Attributes:
        callees: Who is at which number; may be changed at any time.
        requests: REST requests, oldest first.
        webhooks: Webhooks, in the order in which they were done with.
        pacer: Moves the audio of all calls; knows how late it was.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        tunnels: Sequence[Tunnel] = (),
        callees: Mapping[str, Callee] | None = None,
        other_callee: Callee | None = None,
        applications: Mapping[str, Application] | None = None,
        timing: Timing | None = None,
        calls_per_second: float | None = None,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        dial_media: MediaDialer = dial_media,
    ) -> None:
        self.callees = dict(callees or {})
        self.requests: list[RestRequest] = []
        self.webhooks: list[WebhookDelivery] = []
        self.pacer = Pacer(self._wake)
        self._other_callee = other_callee or Callee()
        self._faults = Faults()
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._stopping = asyncio.Event()
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        clock = clock or SystemClock()
        courier = Courier(
            auth_token=auth_token,
            tunnels=tunnels,
            faults=self._faults,
            clock=clock,
            delivered=self._keep_webhook,
            transport=transport,
        )
        self._wiring = Wiring(
            account_sid=account_sid,
            auth_token=auth_token,
            clock=clock,
            timing=timing or Timing(),
            tunnels=tunnels,
            courier=courier,
            pacer=self.pacer,
            dial_media=dial_media,
            changed=self._wake,
        )
        self._exchange = Exchange(
            self._wiring,
            find_callee=lambda to: self.callees.get(to, self._other_callee),
            calls_per_second=calls_per_second,
        )
        self._door = RestDoor(
            self._exchange,
            self._wiring,
            faults=self._faults,
            applications=applications or {},
            seen=self._keep_request,
            stopping=self._stopping,
        )

    # -- running -----------------------------------------------------------------------

    @property
    def app(self) -> Starlette:
        """The REST door as an ASGI application, for tests without sockets."""
        return self._door.app

    async def start(self, *, port: int = 0) -> str:
        """Listen on loopback, on any free port by itself.

        Returns:
            The origin to use instead of `https://api.twilio.com`.
        """
        listener = socket.create_server(("127.0.0.1", port))
        config = uvicorn.Config(
            self.app, log_config=None, ws="none", lifespan="off", loop="none"
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        """Break off all calls without a report, and stop listening."""
        self._stopping.set()
        tasks = tuple(self._wiring.tasks)
        for call in self.calls:
            for timer in call.timers:
                timer.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.pacer.stop()
        await self._wiring.courier.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving

    # -- what a test does --------------------------------------------------------------

    def call_in(
        self,
        from_: str,
        to: str,
        webhook_url: str,
        *,
        caller: Callee | None = None,
        method: str = "POST",
        fallback_url: str | None = None,
        status_callback: str | None = None,
    ) -> PhoneCall:
        """Let somebody call a number of the account.

        Args:
            from_: The caller's number; anything that a network may show, also nothing.
            to: The account's number.
            webhook_url: The number's "a call comes in" URL.
            caller: The caller's behaviour; `ring_s` and `behaviour` play no part.
            method: Of `webhook_url`.
            fallback_url: The number's fallback URL.
            status_callback: The number's "call status changes" URL, told of the end.
        """
        instructions = Instructions(
            url=webhook_url, method=method, fallback_url=fallback_url
        )
        order = inbound_order(
            from_, to, instructions=instructions, status_callback=status_callback
        )
        return self._exchange.offer(order, caller or self._other_callee)

    def spoil(self, fault: RestFault | WebhookFault) -> None:
        """Let a request or webhook go wrong."""
        self._faults.add(fault)

    def heal(self) -> None:
        """Forget every fault that still waits."""
        self._faults.clear()

    async def wait_until(
        self, is_true: Callable[[], bool], *, timeout_s: float = 10.0
    ) -> None:
        """Wait until something about the network is true.

        Raises:
            TimeoutError: It has not become true in time.
            Exception: What `is_true` raises.
        """
        if is_true():
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (is_true, done)
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await done
        finally:
            self._waiters.remove(waiter)

    async def wait_ended(self, call: PhoneCall, *, timeout_s: float = 10.0) -> None:
        """Wait until a call has ended, and its end has been reported.

        Raises:
            TimeoutError: It has not ended in time.
        """
        async with asyncio.timeout(timeout_s):
            await call.has_ended.wait()
            await self._exchange.wait_settled(call)

    # -- what a test looks at ----------------------------------------------------------

    @property
    def calls(self) -> list[PhoneCall]:
        """All calls, oldest first."""
        return list(self._exchange.calls.values())

    @property
    def errors(self) -> list[NetworkError]:
        """The account's error log: what Twilio's console would show."""
        return self._wiring.errors

    def webhooks_of(
        self, kind: WebhookKind, call: PhoneCall | None = None
    ) -> list[WebhookDelivery]:
        """Return the webhooks of one kind, of one call or of all."""
        return [
            webhook
            for webhook in self.webhooks
            if webhook.kind is kind and (call is None or webhook.call_sid == call.sid)
        ]

    def _keep_webhook(self, webhook: WebhookDelivery) -> None:
        self.webhooks.append(webhook)
        self._wake()

    def _keep_request(self, request: RestRequest) -> None:
        self.requests.append(request)
        self._wake()

    def _wake(self) -> None:
        for is_true, done in self._waiters:
            try:
                if not done.done() and is_true():
                    done.set_result(None)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                done.set_exception(error)


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
