"""Log lines: constant messages, fields, and nothing private."""

from __future__ import annotations

import asyncio
import io
import logging

import pytest

from voice_call.log import bind_call, get_logger, log_to_stream, redact


def shown(**fields: object) -> dict[str, object]:
    return dict(redact(None, "info", {"event": "e", **fields}))


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "stream_token",
        "authToken",
        "auth_token",
        "api_key",
        "apiKey",
        "xi-api-key",
        "client_secret",
        "Authorization",
        "X-Twilio-Signature",
        "set-cookie",
        "password",
        "text",
        "transcript",
        "heard",
        "opening",
        "message",
        "digits",
        "payload",
    ],
)
def test_a_private_field_is_dropped(name: str) -> None:
    assert shown(**{name: "hush"}) == {"event": "e", name: "[redacted]"}


def test_a_private_field_is_dropped_at_any_depth() -> None:
    assert shown(request={"headers": [{"Authorization": "Bearer abc"}]}) == {
        "event": "e",
        "request": {"headers": [{"Authorization": "[redacted]"}]},
    }


def test_what_is_too_deep_to_check_is_dropped() -> None:
    deep: object = "bottom"
    for _ in range(10):
        deep = {"a": deep}
    assert "bottom" not in str(shown(deep=deep))


def test_whether_a_private_field_is_set_may_be_shown() -> None:
    assert shown(token=None, has_secret=True) == {
        "event": "e",
        "token": None,
        "has_secret": True,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"to": "+15550001234"}, {"to": "…1234"}),
        ({"from_": "15550001234"}, {"from_": "…1234"}),
        ({"callers": ["+1 555 000 1234"]}, {"callers": ["…1234"]}),
        (
            {"detail": "no route to +15550001234 now"},
            {"detail": "no route to …1234 now"},
        ),
        ({"call_id": "6f1c-15550001234"}, {"call_id": "6f1c-15550001234"}),
        ({"seq": 15550001234, "ok": True}, {"seq": 15550001234, "ok": True}),
    ],
)
def test_phone_numbers_are_masked(
    fields: dict[str, object], expected: dict[str, object]
) -> None:
    assert shown(**fields) == {"event": "e", **expected}


def test_an_exception_in_a_field_is_masked_too() -> None:
    error = ValueError("cannot dial +15550001234")
    assert shown(error=error)["error"] == "ValueError: cannot dial …1234"


def test_a_record_has_a_line_for_people_and_fields_for_programs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "voice_call")
    get_logger("voice_call.test").info(
        "call refused", reason="not allowed", to="+15550001234"
    )
    (record,) = caplog.records
    assert record.getMessage() == "call refused reason='not allowed' to=…1234"
    assert record.name == "voice_call.test"
    assert record.levelname == "INFO"
    assert vars(record)["event"] == "call refused"
    assert vars(record)["fields"] == {"reason": "not allowed", "to": "…1234"}


def test_fields_may_have_names_that_records_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    get_logger("voice_call.test").warning(
        "hm", name="x", args=1, percent="100%s", no=""
    )
    assert caplog.records[0].getMessage() == "hm name=x args=1 percent=100%s no=''"


def test_an_exception_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    try:
        int("broken")
    except ValueError:
        get_logger("voice_call.test").exception("it failed")
    assert "ValueError: invalid literal" in caplog.text


def test_lines_below_the_level_are_not_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "voice_call")
    get_logger("voice_call.test").info("quiet")
    assert caplog.records == []


def test_a_bound_call_is_on_every_line_of_its_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = get_logger("voice_call.test")

    async def work() -> None:
        await asyncio.sleep(0)
        log.warning("inside")

    async def run() -> None:
        with bind_call("call-1"):
            task = asyncio.create_task(work())
        log.warning("outside")
        await task

    asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == [
        "outside",
        "inside call_id=call-1",
    ]


def test_a_program_without_logging_can_show_the_log_on_a_stream() -> None:
    stream = io.StringIO()
    handler = log_to_stream(stream)
    try:
        get_logger("voice_call.test").info("hello", lines=2)
    finally:
        logging.getLogger("voice_call").removeHandler(handler)
        logging.getLogger("voice_call").setLevel(logging.NOTSET)
    assert stream.getvalue().endswith(" INFO hello lines=2\n")
