"""Signatures, playout, stream messages, TwiML, tunnels: pure parts of the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from voice_call.testing.twilio_network.playout import Playout
from voice_call.testing.twilio_network.signature import sign_upgrade, sign_webhook
from voice_call.testing.twilio_network.stream_messages import (
    ClearMessage,
    InvalidMessage,
    MarkMessage,
    MediaMessage,
    MessageWriter,
    read_message,
)
from voice_call.testing.twilio_network.tunnel import NoRoute, Tunnel, find_hop
from voice_call.testing.twilio_network.twiml import InvalidTwiml, read_twiml
from voice_call.testing.twilio_network.webhooks import DeliveryRules

DATA = Path(__file__).parents[4].parent / "shared/data"
SAMPLES = DATA / "twilio_media_stream_samples.json"
VERBS = DATA / "twiml_voice_inventory.json"
MZ, CA, AC = ("".join((prefix, "0" * 32)) for prefix in ("MZ", "CA", "AC"))

# -- signatures --------------------------------------------------------------------------

FORM = {"CallSid": "CA1", "From": "+15550100001", "FromCity": "", "Said": "é & ü"}


@pytest.mark.parametrize(
    "url",
    [
        "https://agent.example.com/voice",
        "https://agent.example.com/voice?a=1&b=x%20y",
        "https://agent.example.com:8443/voice",
    ],
)
@pytest.mark.parametrize("form", [FORM, {}])
def test_the_sdk_accepts_the_signature(url: str, form: dict[str, str]) -> None:
    signature = sign_webhook(url, form.items(), auth_token="secret")
    assert RequestValidator("secret").validate(url, form, signature)


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("wss://media.example.com", "wss://media.example.com/"),
        ("wss://media.example.com/s?token=1", "wss://media.example.com/s"),
    ],
)
def test_an_upgrade_is_signed_with_a_path_and_without_a_query(
    url: str, signed: str
) -> None:
    signature = sign_upgrade(url, auth_token="secret")
    assert RequestValidator("secret").validate(signed, {}, signature)


# -- playout -----------------------------------------------------------------------------


def test_audio_is_played_frame_by_frame_and_filled_up_with_silence() -> None:
    playout = Playout()
    playout.push(b"\x01" * 200)
    assert playout.play() == (b"\x01" * 160, ())
    assert playout.play() == (b"\x01" * 40 + b"\xff" * 120, ())
    assert playout.play() == (None, ())


def test_a_mark_comes_back_when_playback_has_passed_it() -> None:
    playout = Playout()
    playout.push(b"\x01" * 160)
    assert playout.mark("a") == ()
    playout.push(b"\x01" * 160)
    assert playout.mark("b") == ()
    assert [playout.play()[1] for _ in range(3)] == [(), ("a",), ("b",)]


def test_a_mark_behind_nothing_comes_back_at_once() -> None:
    assert Playout().mark("a") == ("a",)


def test_a_clear_drops_audio_and_returns_marks_in_order() -> None:
    playout = Playout()
    playout.push(b"\x01" * 800)
    playout.mark("a")
    playout.mark("b")
    assert playout.clear() == ("a", "b")
    assert playout.waiting_bytes == 0
    assert playout.play() == (None, ())
    assert playout.mark("c") == ("c",)


# -- stream messages ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f'{{"event":"media","streamSid":"{MZ}","media":{{"payload":"AQI="}}}}',
            MediaMessage(audio=b"\x01\x02"),
        ),
        (
            f'{{"event":"mark","streamSid":"{MZ}","mark":{{"name":"m"}}}}',
            MarkMessage(name="m"),
        ),
        (f'{{"event":"clear","streamSid":"{MZ}"}}', ClearMessage()),
    ],
)
def test_messages_of_the_server_are_read(text: str, expected: object) -> None:
    assert read_message(text, stream_sid=MZ) == expected


@pytest.mark.parametrize(
    "message",
    [
        "[]",
        "{",
        {"event": "hello", "streamSid": MZ},
        {"event": ["media"], "streamSid": MZ},
        {"event": "clear"},
        {"event": "clear", "streamSid": MZ[:-1] + "1"},
        {"event": "clear", "streamSid": MZ, "now": True},
        {"event": "mark", "streamSid": MZ, "mark": {"name": 1}},
        {"event": "mark", "streamSid": MZ, "mark": {"name": "m", "at": 1}},
        {"event": "mark", "streamSid": MZ, "mark": "m"},
        {"event": "media", "streamSid": MZ, "media": {"payload": "no base64"}},
        {"event": "media", "streamSid": MZ, "media": {"payload": "AQI"}},
    ],
)
def test_what_the_protocol_does_not_have_is_refused(message: Any) -> None:
    text = message if isinstance(message, str) else json.dumps(message)
    with pytest.raises(InvalidMessage):
        read_message(text, stream_sid=MZ)


def _shape(value: Any) -> Any:
    match value:
        case dict():
            return {key: _shape(inner) for key, inner in value.items()}
        case list():
            return [_shape(inner) for inner in value]
        case _:
            return type(value).__name__


@pytest.mark.skipif(not SAMPLES.exists(), reason="shared/data is not here")
def test_messages_have_the_shape_of_the_samples() -> None:
    samples = json.loads(SAMPLES.read_text())
    writer = MessageWriter(account_sid=AC, call_sid=CA, stream_sid=MZ)
    written = [
        writer.connected(),
        writer.start(tracks=["inbound"], parameters={"k": "v"}),
        writer.media(b"\xff" * 160, track="inbound"),
        writer.mark("m1"),
        writer.dtmf("1"),
        writer.stop(),
    ]
    ours = {json.loads(text)["event"]: json.loads(text) for text in written}
    theirs = {message["event"]: message for message in samples["to_server"]}
    assert {name: _shape(one) for name, one in ours.items()} == {
        name: _shape(one) for name, one in theirs.items()
    }
    assert ours["start"] == theirs["start"]
    for message in samples["to_carrier"]:
        read_message(json.dumps(message), stream_sid=MZ)


def test_every_track_counts_its_own_chunks() -> None:
    writer = MessageWriter(account_sid=AC, call_sid=CA, stream_sid=MZ)
    tracks = ("inbound", "outbound", "inbound")
    texts = [writer.media(b"\xff", track=track) for track in tracks]
    messages = [json.loads(text) for text in texts]
    assert [message["sequenceNumber"] for message in messages] == ["1", "2", "3"]
    assert [message["media"]["chunk"] for message in messages] == ["1", "1", "2"]
    assert messages[2]["media"]["timestamp"] == "20"


# -- TwiML -------------------------------------------------------------------------------


def test_a_document_is_read_into_verbs() -> None:
    document = read_twiml(
        '<Response><Gather input="speech"><Say>Hi\n there</Say></Gather></Response>'
    )
    (gather,) = document.verbs
    assert gather.attributes == {"input": "speech"}
    assert gather.children[0].text == "Hi there"
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("text", "code"), [("", 12100), ("<Response>", 12100), ("<response/>", 12102)]
)
def test_an_unreadable_document_is_refused(text: str, code: int) -> None:
    with pytest.raises(InvalidTwiml) as caught:
        read_twiml(text)
    assert caught.value.code == code


@pytest.mark.skipif(not VERBS.exists(), reason="shared/data is not here")
@pytest.mark.parametrize("verb", ["Say", "Gather", "Pause", "Play", "Redirect"])
def test_every_attribute_of_the_inventory_is_known(verb: str) -> None:
    inventory = json.loads(VERBS.read_text())["verbs"]["VoiceResponse"]
    content = {"message", "url"} if verb != "Gather" else set()
    names = [_camel(name) for name in inventory[verb.lower()] if name not in content]
    attributes = " ".join(f'{name}="1"' for name in names)
    document = read_twiml(f"<Response><{verb} {attributes}/></Response>")
    assert document.warnings == ()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


# -- tunnels -----------------------------------------------------------------------------

TUNNELS = (
    Tunnel(public="https://agent.example.com", local="http://127.0.0.1:1"),
    Tunnel(public="https://agent.example.com/b", local="http://127.0.0.1:2/c"),
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://agent.example.com/a?x=1", "http://127.0.0.1:1/a?x=1"),
        ("https://AGENT.example.com:443/a", "http://127.0.0.1:1/a"),
        ("wss://agent.example.com", "ws://127.0.0.1:1/"),
        ("https://agent.example.com/b/d", "http://127.0.0.1:2/c/d"),
        ("https://agent.example.com/bd", "http://127.0.0.1:1/bd"),
        ("http://127.0.0.1:9/a", "http://127.0.0.1:9/a"),
        ("http://localhost:9", "http://localhost:9/"),
    ],
)
def test_a_tunnel_leads_to_the_local_address(url: str, expected: str) -> None:
    assert find_hop(url, TUNNELS).url == expected


@pytest.mark.parametrize(
    "url", ["https://other.example.com/", "http://agent.example.com/"]
)
def test_other_hosts_lead_nowhere(url: str) -> None:
    with pytest.raises(NoRoute):
        find_hop(url, TUNNELS)


def test_a_proxy_can_hide_the_public_host() -> None:
    tunnel = Tunnel(
        public="https://agent.example.com",
        local="http://127.0.0.1:1",
        keeps_host=False,
        forwards=False,
    )
    headers = find_hop("https://agent.example.com/", [tunnel]).headers
    assert headers == {"Host": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", DeliveryRules()),
        ("rc=9&rt=99999", DeliveryRules(retries=5)),
        ("ct=200&tt=3000", DeliveryRules(connect_s=0.2, total_s=3.0)),
        ("rp=all,5xx&rc=x", DeliveryRules(retry_on=frozenset({"all", "5xx"}))),
    ],
)
def test_a_fragment_changes_how_a_webhook_is_tried(
    fragment: str, expected: DeliveryRules
) -> None:
    assert DeliveryRules.from_fragment(fragment) == expected
