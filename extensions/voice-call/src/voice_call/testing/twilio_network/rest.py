"""The REST door: Basic authentication, faults, and one function for each resource."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voice_call.testing.twilio_network.faults import RestFaultKind
from voice_call.testing.twilio_network.orders import (
    Application,
    Refusal,
    read_call_order,
    read_call_update,
)
from voice_call.testing.twilio_network.records import CallStatus, RestRequest
from voice_call.testing.twilio_network.resources import (
    API_VERSION,
    call_resource,
    error_body,
    page_of_calls,
    recording_resource,
    stream_resource,
)
from voice_call.testing.twilio_network.stream import MediaStream, StreamOrder

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from voice_call.testing.twilio_network.exchange import Exchange
    from voice_call.testing.twilio_network.faults import Faults, RestFault
    from voice_call.testing.twilio_network.phone_call import PhoneCall
    from voice_call.testing.twilio_network.wiring import Wiring

__all__ = ["RestDoor"]

Form = tuple[tuple[str, str], ...]
Body = dict[str, Any]
_CODES = {429: 20429, 503: 20503}
_DEFAULT_PAGE_SIZE = 50
_RECORDING_STATES = {"stopped", "paused", "in-progress"}


class RestDoor:
    """Answers REST requests.

    Args:
        exchange: Where calls live.
        wiring: What the network shares.
        faults: What goes wrong.
        applications: What `ApplicationSid` can name.
        seen: Takes every request when it has been answered.
        stopping: Lets go of the requests whose answer is withheld.
    """

    def __init__(
        self,
        exchange: Exchange,
        wiring: Wiring,
        *,
        faults: Faults,
        applications: Mapping[str, Application],
        seen: Callable[[RestRequest], None],
        stopping: asyncio.Event,
    ) -> None:
        self._exchange = exchange
        self._wiring = wiring
        self._faults = faults
        self._applications = applications
        self._seen = seen
        self._stopping = stopping
        base = f"/{API_VERSION}/Accounts/{{account_sid}}/Calls"
        routes: tuple[tuple[str, str, Callable[..., Awaitable[Response]]], ...] = (
            ("POST", ".json", self._create_call),
            ("GET", ".json", self._list_calls),
            ("GET", "/{sid}.json", self._fetch_call),
            ("POST", "/{sid}.json", self._update_call),
            ("POST", "/{sid}/Recordings.json", self._create_recording),
            ("GET", "/{sid}/Recordings.json", self._list_recordings),
            ("GET", "/{sid}/Recordings/{part}.json", self._fetch_recording),
            ("POST", "/{sid}/Recordings/{part}.json", self._update_recording),
            ("POST", "/{sid}/Streams.json", self._create_stream),
            ("POST", "/{sid}/Streams/{part}.json", self._update_stream),
        )
        self.app = Starlette(
            routes=[
                Route(base + path, self._guard(endpoint), methods=[method])
                for method, path, endpoint in routes
            ],
            exception_handlers={404: _not_found, 405: _not_found},
        )

    # -- every request -----------------------------------------------------------------

    def _guard(
        self, endpoint: Callable[[Request, Form], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if request.method == "POST":
                body = (await request.body()).decode()
                form = tuple(parse_qsl(body, keep_blank_values=True))
            else:
                form = tuple(request.query_params.multi_items())
            method, path = request.method, request.url.path
            fault = self._faults.take_rest(method, path)
            if fault is not None and fault.kind is RestFaultKind.ERROR:
                response: Response | None = _spoiled(fault)
            elif fault is not None and fault.kind is RestFaultKind.NO_ANSWER:
                response = None
            else:
                response = await self._answer(endpoint, request, form)
                if fault is not None:
                    response = None
            self._seen(
                RestRequest(
                    method=method,
                    path=path,
                    form=form,
                    status=None if response is None else response.status_code,
                    at=self._wiring.clock.now(),
                )
            )
            if response is None:
                await self._stopping.wait()
                return _spoiled_by_stop()
            return response

        return answer

    async def _answer(
        self,
        endpoint: Callable[[Request, Form], Awaitable[Response]],
        request: Request,
        form: Form,
    ) -> Response:
        try:
            self._authenticate(request)
            return await endpoint(request, form)
        except Refusal as refusal:
            body = error_body(refusal.code, str(refusal), status=refusal.status)
            return JSONResponse(body, status_code=refusal.status)

    def _authenticate(self, request: Request) -> None:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(secret, validate=True).decode()
        except (binascii.Error, ValueError):
            given = ""
        account_sid = self._wiring.account_sid
        expected = f"{account_sid}:{self._wiring.auth_token}"
        if scheme.lower() != "basic" or given != expected:
            raise Refusal(20003, "Authenticate", status=401)
        if request.path_params["account_sid"] != account_sid:
            raise Refusal(20404, "The requested resource was not found", status=404)

    def _find_call(self, request: Request) -> PhoneCall:
        call = self._exchange.calls.get(request.path_params["sid"])
        if call is None:
            message = f"The requested resource {request.url.path} was not found"
            raise Refusal(20404, message, status=404)
        return call

    # -- calls -------------------------------------------------------------------------

    async def _create_call(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - one signature
        order = read_call_order(form, applications=self._applications)
        call = self._exchange.place(order)
        return JSONResponse(call_resource(call), status_code=201)

    async def _fetch_call(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - one signature
        return JSONResponse(call_resource(self._find_call(request)))

    async def _update_call(self, request: Request, form: Form) -> Response:
        call = self._find_call(request)
        self._exchange.update(call, read_call_update(form))
        return JSONResponse(call_resource(call))

    async def _list_calls(self, request: Request, form: Form) -> Response:
        fields = dict(form)
        calls = [call for call in self._exchange.calls.values() if _fits(call, fields)]
        calls.reverse()
        rest = [(name, value) for name, value in form if name not in _PAGING]
        return JSONResponse(
            page_of_calls(
                calls,
                uri=request.url.path,
                query=urlencode(rest),
                page=int(fields.get("Page", "0")),
                page_size=int(fields.get("PageSize", _DEFAULT_PAGE_SIZE)),
            )
        )

    # -- recordings --------------------------------------------------------------------

    async def _create_recording(self, request: Request, form: Form) -> Response:
        call, fields = self._find_call(request), dict(form)
        if call.status is not CallStatus.IN_PROGRESS:
            raise Refusal(21220, "Requested resource is not eligible for recording")
        recording = self._exchange.record(
            call,
            source="StartCallRecordingAPI",
            url=fields.get("RecordingStatusCallback"),
            channels=2 if fields.get("RecordingChannels") == "dual" else 1,
            track=fields.get("RecordingTrack", "both"),
        )
        return JSONResponse(recording_resource(call, recording), status_code=201)

    async def _list_recordings(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - one signature
        call = self._find_call(request)
        path = request.url.path
        body: Body = {
            "recordings": [recording_resource(call, one) for one in call.recordings],
            "end": max(0, len(call.recordings) - 1),
            "first_page_uri": f"{path}?Page=0",
            "next_page_uri": None,
            "page": 0,
            "page_size": _DEFAULT_PAGE_SIZE,
            "previous_page_uri": None,
            "start": 0,
            "uri": f"{path}?Page=0",
        }
        return JSONResponse(body)

    async def _fetch_recording(self, request: Request, form: Form) -> Response:  # noqa: ARG002 - one signature
        call, recording = self._find_recording(request)
        return JSONResponse(recording_resource(call, recording))

    async def _update_recording(self, request: Request, form: Form) -> Response:
        call, recording = self._find_recording(request)
        status = dict(form).get("Status")
        if status not in _RECORDING_STATES:
            raise Refusal(20001, f"Invalid Status {status}")
        if status == "stopped":
            self._exchange.finish_recording(call, recording)
        elif recording.ended_at is None:
            recording.status = status
        return JSONResponse(recording_resource(call, recording))

    def _find_recording(self, request: Request) -> tuple[PhoneCall, Any]:
        call, part = self._find_call(request), request.path_params["part"]
        for recording in reversed(call.recordings):
            is_current = part == "Twilio.CURRENT" and recording.ended_at is None
            if is_current or part == recording.sid:
                return call, recording
        raise Refusal(20404, f"There is no recording {part}", status=404)

    # -- streams -----------------------------------------------------------------------

    async def _create_stream(self, request: Request, form: Form) -> Response:
        call, fields = self._find_call(request), dict(form)
        if call.status is not CallStatus.IN_PROGRESS:
            raise Refusal(21220, "Call is not in-progress")
        track = fields.get("Track", "inbound_track")
        parameters = {
            fields[f"Parameter{n}.Name"]: fields.get(f"Parameter{n}.Value", "")
            for n in range(1, 100)
            if f"Parameter{n}.Name" in fields
        }
        order = StreamOrder(
            url=fields.get("Url", ""),
            name=fields.get("Name", ""),
            tracks=("inbound", "outbound")
            if track == "both_tracks"
            else (track.removesuffix("_track"),),
            parameters=parameters,
            status_callback=fields.get("StatusCallback"),
            status_method=fields.get("StatusCallbackMethod", "POST"),
        )
        stream = MediaStream(call, order, self._wiring, is_bidirectional=False)
        call.streams.append(stream)
        self._wiring.spawn(_open(stream))
        body = stream_resource(stream, updated_at=self._wiring.clock.now())
        return JSONResponse(body)

    async def _update_stream(self, request: Request, form: Form) -> Response:
        call, part = self._find_call(request), request.path_params["part"]
        if dict(form).get("Status") != "stopped":
            raise Refusal(20001, "Status must be stopped")
        for stream in call.streams:
            if part in {stream.sid, stream.order.name}:
                stream.stop()
                now = self._wiring.clock.now()
                return JSONResponse(stream_resource(stream, updated_at=now))
        raise Refusal(20404, f"There is no stream {part}", status=404)


_PAGING = {"Page", "PageSize", "PageToken"}


async def _open(stream: MediaStream) -> None:
    await stream.open()


def _fits(call: PhoneCall, fields: Mapping[str, str]) -> bool:
    known = {"To": call.to, "From": call.from_, "Status": str(call.status)}
    return (
        all(fields.get(name, value) == value for name, value in known.items())
        and _is_within(call.dialed_at, "StartTime", fields)
        and _is_within(call.ended_at, "EndTime", fields)
    )


def _is_within(at: float | None, name: str, fields: Mapping[str, str]) -> bool:
    """Apply `X`, a day, and `X<` and `X>`, which are bounds."""
    day, before, after = (fields.get(name + sign) for sign in ("", "<", ">"))
    if day is None and before is None and after is None:
        return True
    if at is None:
        return False
    when = datetime.fromtimestamp(at, UTC)
    if day is not None and not (
        _time(day) <= when < _time(day[:10]) + timedelta(days=1)
    ):
        return False
    return (before is None or when < _time(before)) and (
        after is None or when >= _time(after)
    )


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(20001, f"Invalid date {text}") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _spoiled(fault: RestFault) -> Response:
    code = fault.code or _CODES.get(fault.status, 20500)
    body = error_body(code, "Spoiled on demand", status=fault.status)
    headers = {}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = str(fault.retry_after_s)
    return JSONResponse(body, status_code=fault.status, headers=headers)


def _spoiled_by_stop() -> Response:
    return Response(status_code=503)


async def _not_found(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    message = f"The requested resource {request.url.path} was not found"
    return JSONResponse(error_body(20404, message, status=404), status_code=404)
