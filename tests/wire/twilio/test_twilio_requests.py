"""Each REST request of ours is valid by Twilio's own OpenAPI document.

SOURCES: twilio/twilio-oai, spec/json/twilio_api_v2010.json, trimmed to voice. The judge
drops form fields that it does not know, so names are compared with the document too.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from voice_call.call.model import CallId, CarrierCallId, Digit, EndCause
from voice_call.carriers.base import (
    CallRef,
    DialOrder,
    EndCall,
    GatherSpeech,
    SayText,
)
from voice_call.carriers.twilio import make_carrier

pytestmark = pytest.mark.anyio

SPEC = (
    Path(__file__).parents[4] / "shared" / "data" / "twilio_voice_trimmed.strict.json"
)
ACCOUNT = "AC" + "a" * 32
SID = "CA" + "b" * 32
HOOK = "https://phone.example/voice/webhook"
CALL = CallRef(call_id=CallId("c1"), carrier_call_id=CarrierCallId(SID))
FORM = "application/x-www-form-urlencoded"


class Asked:
    """One request as the judge wants to see it."""

    def __init__(self, request: httpx.Request) -> None:
        self.host_url = f"{request.url.scheme}://{request.url.host}"
        self.path = request.url.path
        self.full_url_pattern = f"{self.host_url}{self.path}"
        self.method = request.method.lower()
        self.body = request.content or None
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(request.url.params.multi_items()),
            header=Headers(list(request.headers.items())),
        )


class Judge(httpx.AsyncBaseTransport):
    """Twilio's REST API that takes only what its document allows."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.api = OpenAPI.from_dict(document)
        self.seen: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.api.validate_request(Asked(request))
        self.check_names(request)
        credentials = base64.b64encode(f"{ACCOUNT}:s3cret".encode()).decode()
        assert request.headers["authorization"] == f"Basic {credentials}"
        self.seen.append(f"{request.method} {request.url.path.rpartition('/')[2]}")
        status = 201 if request.url.path.endswith("/Calls.json") else 200
        return httpx.Response(status, json={"sid": SID, "status": "in-progress"})

    def check_names(self, request: httpx.Request) -> None:
        if request.method != "POST":
            return
        template = "/2010-04-01/Accounts/{AccountSid}/Calls"
        template += (
            ".json" if request.url.path.endswith("/Calls.json") else "/{Sid}.json"
        )
        operation = self.document["paths"][template]["post"]
        schema = operation["requestBody"]["content"][FORM]["schema"]
        form = parse_qsl(request.content.decode(), keep_blank_values=True)
        assert {name for name, _ in form} <= set(schema["properties"])
        exclusive = {"Url", "Twiml", "ApplicationSid"} & {name for name, _ in form}
        assert len(exclusive) <= 1


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    if not SPEC.exists():
        pytest.skip(f"there is no shared data folder with {SPEC.name}")
    found: dict[str, Any] = json.loads(SPEC.read_text())
    return found


ORDER = DialOrder(
    call_id=CallId("c1"),
    to="+15550001234",
    from_="+15550000000",
    ring_timeout_s=30.0,
    max_duration_s=300.0,
    webhook_url=HOOK,
)
NOTICE = DialOrder(
    call_id=CallId("c1"),
    to="+15550001234",
    from_="+15550000000",
    ring_timeout_s=0.5,
    max_duration_s=9e9,
    notify_text="Dinner is ready <now> & hot.",
)
AMD = DialOrder(
    call_id=CallId("c1"),
    to="+15550001234",
    from_="+15550000000",
    ring_timeout_s=600.0,
    max_duration_s=14_400.0,
    webhook_url=HOOK,
    machine_detection=True,
)


@pytest.mark.parametrize("order", [ORDER, NOTICE, AMD])
async def test_a_dial_is_valid(document: dict[str, Any], order: DialOrder) -> None:
    judge = Judge(document)
    carrier = make_carrier(account_sid=ACCOUNT, auth_token="s3cret", transport=judge)
    assert await carrier.control.dial(order) == SID
    assert judge.seen == ["POST Calls.json"]


async def test_everything_done_to_a_call_is_valid(document: dict[str, Any]) -> None:
    judge = Judge(document)
    control = make_carrier(
        account_sid=ACCOUNT,
        auth_token="s3cret",
        has_streams=False,
        webhook_url=HOOK,
        transport=judge,
    ).control
    say = SayText(text="Hi", voice=None, language="en-US")
    listen = GatherSpeech(turn_token="t", url=HOOK, language="en-US")
    await control.act(CALL, (say, listen))
    await control.act(CALL, (say, EndCall()))
    await control.send_digits(CALL, (Digit.ONE,))
    await control.reject(CALL, cause=EndCause.POLICY, notice=None)
    await control.reject(CALL, cause=EndCause.ALL_LINES_BUSY, notice="Busy.")
    await control.hang_up(CALL)
    await control.fetch_status(CALL)
    assert judge.seen == [f"POST {SID}.json"] * 6 + [f"GET {SID}.json"]
