"""`openclaw voicecall simulate`: whole rehearsals, each with a network of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from voice_call import registry
from voice_call.cli import app
from voice_call.testing.gateway import FakeGatewayClient
from voice_call.testing.twilio_network import RestFault, WebhookFault, WebhookKind
from voice_call.testing.twilio_network.rehearsal import TwilioRehearsal

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

NAMES = [
    "dial",
    "webhook reached",
    "signature accepted",
    "stream opened",
    "first audio",
    "opening heard",
    "hang-up",
]
OWN = {
    "provider": "twilio",
    "fromNumber": "+15550100200",
    "publicUrl": "https://phone.example.com/voice/webhook",
    "twilio": {"accountSid": "AC" + "1" * 32, "authToken": "not-a-secret"},
}
STREAMING = {"streaming": {"enabled": True}}


def run(folder: Path, config: Any, *arguments: str) -> Result:
    entry = {"plugins": {"entries": {"voice-call": {"config": config}}}}
    client = FakeGatewayClient(state_dir=folder, config=entry)
    result = CliRunner().invoke(app, ["simulate", *arguments], obj=client)
    assert client.calls == []  # no Gateway is asked
    assert list(folder.iterdir()) == []  # and nothing is left behind
    return result


def passed(result: Result) -> list[bool | None]:
    stages = json.loads(result.stdout)["stages"]
    assert [stage["name"] for stage in stages] == NAMES
    return [stage["passed"] for stage in stages]


@pytest.mark.parametrize(
    ("config", "stream"),
    [
        (OWN, None),
        (OWN | STREAMING, True),
        (OWN | STREAMING | {"provider": "mock"}, True),
        ({}, None),
        (OWN | {"inboundPolicy": "open", "serve": {"path": "/calls"}}, None),
        (OWN | {"publicUrl": "https://a.example.com:8443/x?y=z"} | STREAMING, True),
    ],
    ids=["verbs", "stream", "other-provider", "nothing-set", "rewriting", "port"],
)
def test_a_good_configuration_passes(
    tmp_path: Path, config: Any, *, stream: bool | None
) -> None:
    result = run(tmp_path, config)
    assert passed(result) == [True, True, True, stream, True, True, True]
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ok"] is True


def test_what_stands_in_is_said(tmp_path: Path) -> None:
    result = run(tmp_path, {})
    notes = " ".join(json.loads(result.stdout)["notes"])
    for key in ("publicUrl", "twilio.accountSid", "fromNumber"):
        assert key in notes
    assert "note  plugins.entries.voice-call.config.publicUrl" in result.stderr


def test_people_read_one_line_for_each_stage(tmp_path: Path) -> None:
    lines = run(tmp_path, OWN).stderr.splitlines()
    assert lines[0].startswith("ok    dial                 Twilio created CA")
    assert lines[3].startswith("–     stream opened        streaming.enabled is false")
    assert len(lines) == len(NAMES)


def test_no_secret_is_printed(tmp_path: Path) -> None:
    assert "not-a-secret" not in run(tmp_path, OWN).output


class OtherSecret(TwilioRehearsal):
    async def start(self) -> Any:
        overlay = dict(await super().start())
        self._network._wiring.courier._auth_token = "another"
        return overlay


class Refusing(TwilioRehearsal):
    async def start(self) -> Any:
        self._network.spoil(RestFault(method="POST", status=400, code=21210, times=9))
        return await super().start()


class Lossy(TwilioRehearsal):
    async def start(self) -> Any:
        self._network.spoil(WebhookFault(is_lost=True, times=99))
        return await super().start()


class Unreachable(TwilioRehearsal):
    async def start(self) -> Any:
        self._network._wiring.courier._tunnels = ()
        return await super().start()


class Deaf(TwilioRehearsal):
    async def start(self) -> Any:
        async def fail(*_: Any) -> None:
            from voice_call.testing.twilio_network.sockets import HandshakeFailed

            raise HandshakeFailed(31920, "answered with 404")

        self._network._wiring.dial_media = fail
        return await super().start()


class Untold(TwilioRehearsal):
    async def start(self) -> Any:
        fault = WebhookFault(kind=WebhookKind.STATUS, is_lost=True, times=99)
        self._network.spoil(fault)
        return await super().start()


@pytest.mark.parametrize(
    ("rehearsal", "failing", "detail"),
    [
        (Refusing, "dial", "twilio refused (400, code 21210)"),
        (Lossy, "webhook reached", "11205"),
        (Unreachable, "webhook reached", "https://phone.example.com"),
        (OtherSecret, "signature accepted", "401: check twilio.authToken"),
        (Deaf, "stream opened", "31920: answered with 404"),
        (Untold, "hang-up", "report of the end did not come"),
    ],
)
def test_the_first_stage_that_fails_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rehearsal: type[TwilioRehearsal],
    failing: str,
    detail: str,
) -> None:
    place = f"{__name__}:{rehearsal.__name__}"
    monkeypatch.setattr(registry, "import_module", lambda _: _Module(rehearsal))
    monkeypatch.setitem(registry.REHEARSALS, "twilio", place)  # type: ignore[call-overload]
    result = run(tmp_path, OWN | STREAMING)
    assert result.exit_code == 1
    at = NAMES.index(failing)
    got = passed(result)
    assert False not in got[:at]
    assert got[at:] == [False] + [None] * (len(NAMES) - at - 1)
    stage = json.loads(result.stdout)["stages"][at]
    assert detail in stage["detail"]


class _Module:
    """What an import of a module gives: here this one, or the engines' own."""

    def __init__(self, rehearsal: type[TwilioRehearsal]) -> None:
        setattr(self, rehearsal.__name__, rehearsal)

    def __getattr__(self, name: str) -> Any:
        from voice_call.testing import speech

        return getattr(speech, name)


def test_a_wrong_setting_is_told_with_its_path(tmp_path: Path) -> None:
    result = run(tmp_path, OWN | {"serve": {"prot": 1}})
    assert result.exit_code == 1
    assert "serve.prot" in str(result.exception)


def test_a_carrier_without_a_simulator_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, OWN, "--carrier", "pigeon")
    assert result.exit_code == 1
    assert "choose one of twilio" in str(result.exception)
