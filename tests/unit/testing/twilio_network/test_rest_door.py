"""REST without sockets, judged by Twilio's own OpenAPI document where it is present."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters

from unit.testing.twilio_network.office import (
    ALICE,
    BOB,
    PUBLIC,
    SID,
    TOKEN,
    Office,
    response,
)
from voice_call.testing.twilio_network import (
    Application,
    Instructions,
    RestFault,
    RestFaultKind,
)
from voice_call.testing.twilio_network.orders import _CREATE_NAMES, _UPDATE_NAMES

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.anyio

SPEC = Path(__file__).parents[4].parent / "shared/data/twilio_voice_trimmed.strict.json"
LONG = response('<Pause length="600"/>')
AP = "AP" + "0" * 32


class _Request:
    """A request of httpx in the words of openapi-core."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self.parameters = RequestParameters(
            query=dict(request.url.params.multi_items()),
            header={k.title(): v for k, v in request.headers.items()},
            cookie={},
        )

    host_url = "https://api.twilio.com"

    @property
    def path(self) -> str:
        return self._request.url.path

    @property
    def method(self) -> str:
        return self._request.method.lower()

    @property
    def body(self) -> bytes:
        return self._request.content

    @property
    def content_type(self) -> str:
        return self._request.headers.get("content-type", "")


class _Response:
    """An answer of httpx in the words of openapi-core."""

    def __init__(self, answer: httpx.Response) -> None:
        self.data = answer.content
        self.status_code = answer.status_code
        self.content_type = "application/json"
        self.headers = dict(answer.headers)


@pytest.fixture(scope="module")
def judge() -> OpenAPI:
    if not SPEC.exists():
        pytest.skip("shared/data is not here")
    config = Config(spec_validator_cls=None)
    return OpenAPI.from_dict(json.loads(SPEC.read_text()), config=config)


def check(judge: OpenAPI, answer: httpx.Response) -> None:
    """Let Twilio's document judge an exchange."""
    request: Any = _Request(answer.request)
    judge.validate_request(request)
    judge.validate_response(request, _Response(answer))


async def test_every_exchange_agrees_with_the_document(judge: OpenAPI) -> None:
    async with Office() as office:
        form = {"To": BOB, "From": ALICE, "Twiml": LONG, "Timeout": "20"}
        form |= {"StatusCallback": f"{PUBLIC}/status", "StatusCallbackEvent": "ringing"}
        answer = await office.rest.post("/Calls.json", data=form)
        check(judge, answer)
        call = office.network.calls[0]
        path = f"/Calls/{call.sid}"
        check(judge, await office.rest.get(f"{path}.json"))
        await office.network.wait_until(lambda: call.answered_at is not None)
        check(judge, await office.rest.post(f"{path}.json", data={"Twiml": LONG}))
        answer = await office.rest.post(f"{path}/Recordings.json", data={"Trim": "x"})
        check(judge, answer)
        current = f"{path}/Recordings/Twilio.CURRENT.json"
        check(judge, await office.rest.get(f"{path}/Recordings.json"))
        answer = await office.rest.post(current, data={"Status": "stopped"})
        assert answer.json()["status"] == "completed"
        answer = await office.rest.post(
            f"{path}/Streams.json", data={"Url": "wss://agent.example.com/s"}
        )
        check(judge, answer)
        answer = await office.rest.post(f"{path}.json", data={"Status": "completed"})
        check(judge, answer)
        assert answer.json()["status"] == "completed"
        check(judge, await office.rest.get("/Calls.json", params={"To": BOB}))
        check(judge, await office.rest.get(f"{path}.json"))


def test_the_names_of_the_document_are_known() -> None:
    if not SPEC.exists():
        pytest.skip("shared/data is not here")
    base = "/2010-04-01/Accounts/{AccountSid}/Calls"
    paths = json.loads(SPEC.read_text())["paths"]
    for path, names in (
        (f"{base}.json", _CREATE_NAMES),
        (f"{base}/{{Sid}}.json", _UPDATE_NAMES),
    ):
        content = paths[path]["post"]["requestBody"]["content"]
        (media,) = content.values()
        assert names == set(media["schema"]["properties"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21201),
        ({"To": "12"}, 21211),
        ({"From": ""}, 21213),
        ({"From": "alice"}, 21212),
        ({"Twiml": ""}, 21205),
        ({"Url": "agent.example.com"}, 21205),
        ({"Url": "https://a_b.example.com"}, 21205),
        ({"Twiml": "x" * 4001}, 32018),
        ({"ApplicationSid": "AP9"}, 21218),
        ({"StatusCallback": "nowhere"}, 21609),
        ({"StatusCallbackEvent": "ended"}, 21626),
        ({"SendDigits": "12E"}, 21223),
        ({"Timeout": "601"}, 20001),
        ({"Method": "PUT"}, 20001),
        ({"MachineDetection": "true"}, 20001),
        ({"Mood": "glad"}, 20001),
        ({"To": [BOB, BOB]}, 20001),
    ],
)
async def test_a_wrong_order_is_refused(change: dict[str, Any], code: int) -> None:
    async with Office() as office:
        form = {"To": BOB, "From": ALICE, "Twiml": LONG, **change}
        answer = await office.rest.post("/Calls.json", data=form)
        assert answer.status_code == 400
        body = answer.json()
        assert body["code"] == code
        assert set(body) == {"code", "message", "more_info", "status"}
        assert office.network.calls == []


async def test_twiml_is_ignored_beside_a_url() -> None:
    async with Office() as office:
        office.application.at("/voice", response("<Say>From the URL</Say>"))
        call = await office.dial(Url=f"{PUBLIC}/voice", Twiml=LONG)
        await office.network.wait_ended(call)
        assert call.heard == "From the URL"


async def test_an_application_says_what_to_do() -> None:
    twiml = response("<Say>Application</Say>")
    application = Application(instructions=Instructions(twiml=twiml))
    async with Office(applications={AP: application}) as office:
        call = await office.dial(ApplicationSid=AP)
        await office.network.wait_ended(call)
        assert call.heard == "Application"


@pytest.mark.parametrize(
    ("auth", "path", "status", "code"),
    [
        ((SID, "wrong"), "/Calls.json", 401, 20003),
        (None, "/Calls.json", 401, 20003),
        ((SID, TOKEN), "/Calls/CA1.json", 404, 20404),
        ((SID, TOKEN), "/Messages.json", 404, 20404),
    ],
)
async def test_strangers_and_unknown_things(
    auth: tuple[str, str] | None, path: str, status: int, code: int
) -> None:
    async with Office() as office:
        office.rest.auth = auth  # type: ignore[assignment]
        answer = await office.rest.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_another_account_is_not_found() -> None:
    async with Office() as office:
        answer = await office.rest.get("/../AC9/Calls.json")
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Url": f"{PUBLIC}/a", "Twiml": LONG}, 20001),
        ({"Status": "busy"}, 20001),
        ({"Mood": "glad"}, 20001),
    ],
)
async def test_a_wrong_update_is_refused(form: dict[str, str], code: int) -> None:
    async with Office() as office:
        call = await office.dial(Twiml=LONG)
        answer = await office.rest.post(f"/Calls/{call.sid}.json", data=form)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_call_that_is_over_takes_no_update() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=response("<Hangup/>"))
        await office.network.wait_ended(call)
        path = f"/Calls/{call.sid}.json"
        answer = await office.rest.post(path, data={"Status": "completed"})
        assert (answer.status_code, answer.json()["code"]) == (404, 20404)
        answer = await office.rest.post(path, data={"Twiml": LONG})
        assert (answer.status_code, answer.json()["code"]) == (400, 21220)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 2),
        ({"To": BOB}, 1),
        ({"From": "+15550100009"}, 0),
        ({"Status": "in-progress"}, 2),
        ({"StartTime": "2023-11-14"}, 2),
        ({"StartTime": "2023-11-15"}, 0),
        ({"StartTime>": "2023-11-14T00:00:00Z"}, 2),
        ({"StartTime<": "2023-11-14"}, 0),
        ({"EndTime>": "2023-11-14"}, 0),
    ],
)
async def test_calls_are_listed_by_what_is_known_of_them(
    query: dict[str, str], count: int
) -> None:
    async with Office() as office:
        await office.dial(Twiml=LONG)
        await office.dial(Twiml=LONG, To="+15550100003")
        await office.network.wait_until(
            lambda: all(call.answered_at for call in office.network.calls)
        )
        answer = await office.rest.get("/Calls.json", params=query)
        assert len(answer.json()["calls"]) == count


async def test_a_wrong_date_is_refused() -> None:
    async with Office() as office:
        await office.run(response(""))
        answer = await office.rest.get("/Calls.json", params={"StartTime": "today"})
        assert answer.json()["code"] == 20001


async def test_a_list_has_pages() -> None:
    async with Office() as office:
        for _ in range(3):
            await office.dial(Twiml=LONG)
        page = (await office.rest.get("/Calls.json", params={"PageSize": 2})).json()
        assert len(page["calls"]) == 2
        next_uri = page["next_page_uri"]
        page = (await office.rest.get(f"http://twilio.test{next_uri}")).json()
        assert len(page["calls"]) == 1
        assert page["next_page_uri"] is None
        assert page["previous_page_uri"] is not None


async def test_a_request_can_be_spoiled() -> None:
    async with Office() as office:
        office.network.spoil(RestFault(status=429, retry_after_s=3, times=2))
        for expected in (429, 429, 200):
            answer = await office.rest.get("/Calls.json")
            assert answer.status_code == expected
        assert [request.status for request in office.network.requests] == [
            429,
            429,
            200,
        ]


@pytest.mark.parametrize(
    ("kind", "calls"), [(RestFaultKind.NO_ANSWER, 0), (RestFaultKind.LOST_ANSWER, 1)]
)
async def test_an_answer_can_be_withheld(kind: RestFaultKind, calls: int) -> None:
    async with Office() as office:
        office.network.spoil(RestFault(kind=kind, method="POST", path_part="Calls"))
        assert (await office.rest.get("/Calls.json")).status_code == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(office.dial(Twiml=LONG), 5)
        assert len(office.network.calls) == calls
        assert office.network.requests[-1].status is None


async def test_recordings_and_streams_that_do_not_exist() -> None:
    async with Office() as office:
        call = await office.dial(Twiml=LONG)
        path = f"/Calls/{call.sid}"
        answer = await office.rest.post(f"{path}/Recordings.json")
        assert answer.json()["code"] == 21220
        answer = await office.rest.post(f"{path}/Streams.json")
        assert answer.json()["code"] == 21220
        answer = await office.rest.get(f"{path}/Recordings/RE1.json")
        assert answer.json()["code"] == 20404
        answer = await office.rest.post(
            f"{path}/Streams/x.json", data={"Status": "stopped"}
        )
        assert answer.json()["code"] == 20404
        answer = await office.rest.post(f"{path}/Streams/x.json")
        assert answer.json()["code"] == 20001
