"""Log lines of `openclaw gateway run`: whose call they belong to, and what is left out."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from openclaw_gateway.logs import configure_logs, redact, set_level
from voice_call.log import bind_call, get_logger


@pytest.fixture
def lines(capsys):
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def start(*, is_json=True, level="info"):
        configure_logs(is_json=is_json, level=level)

        def read():
            text = capsys.readouterr().err
            return [json.loads(it) for it in text.splitlines()] if is_json else text

        return read

    yield start
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def test_lines_of_a_call_carry_its_id(lines):
    read = lines()
    with bind_call("c1"):
        structlog.get_logger("gateway").info("answered", engine="x")
        get_logger("voice_call.test").info("heard something", frames=3)
    first, second = read()
    assert (first["event"], first["call_id"], first["engine"]) == (
        "answered",
        "c1",
        "x",
    )
    assert (second["event"], second["call_id"], second["frames"]) == (
        "heard something",
        "c1",
        3,
    )
    assert first["level"] == second["level"] == "info"
    assert first["timestamp"].endswith("Z")


def test_lines_for_people_carry_it_too(lines):
    read = lines(is_json=False)
    with bind_call("c1"):
        structlog.get_logger("gateway").info("answered")
        get_logger("voice_call.test").info("heard something")
    first, second = read().splitlines()
    assert "answered" in first
    assert "call_id=c1" in first
    assert "heard something" in second
    assert second.count("call_id=c1") == 1


def test_the_level_holds_for_all_and_can_change(lines):
    read = lines(level="warning")
    loggers = structlog.get_logger("gateway"), logging.getLogger("plugin")
    for logger in loggers:
        logger.info("hidden")
        logger.warning("shown")
    set_level("debug")
    for logger in loggers:
        logger.debug("shown later")
    set_level(None)
    for logger in loggers:
        logger.info("hidden again")
    assert [it["event"] for it in read()] == ["shown", "shown"] + ["shown later"] * 2


def test_libraries_that_tell_everything_are_kept_to_warnings(lines):
    read = lines(level="debug")
    logging.getLogger("httpx").info("GET https://api.example.com")
    logging.getLogger("httpx").warning("slow")
    assert [it["event"] for it in read()] == ["slow"]


def test_a_traceback_has_no_local_variables(lines):
    read = lines()
    hush = "hush-hush"
    try:
        _ = [][len(hush)]
    except IndexError:
        structlog.get_logger("gateway").exception("failed")
    (line,) = read()
    assert line["exception"][0]["exc_type"] == "IndexError"
    assert line["exception"][0]["frames"][-1]["lineno"] > 0
    assert hush not in json.dumps(line)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("token", "x", "[redacted]"),
        ("authToken", "x", "[redacted]"),
        ("api_key", b"x", "[redacted]"),
        ("token_bytes", 24, 24),
        ("event", "called +1 (555) 000-1111 twice", "called …1111 twice"),
        (
            "reason",
            "Authorization: Bearer abcdefgh12345",
            "Authorization: Bearer [redacted]",
        ),
        ("url", "wss://x/?token=abc&y=1", "wss://x/?token=[redacted]&y=1"),
        ("paths", ["a", "+15550001111"], ["a", "…1111"]),
        (
            "headers",
            {"X-Secret": "x", "Host": "h"},
            {"X-Secret": "[redacted]", "Host": "h"},
        ),
        ("port", 18789, 18789),
        ("at", "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05+00:00"),
    ],
)
def test_secrets_and_numbers_are_left_out(name, value, shown):
    assert redact(None, "info", {name: value}) == {name: shown}


def test_what_is_nested_without_end_is_cut():
    value = "x"
    for _ in range(9):
        value = {"a": value}
    assert "[redacted]" in json.dumps(redact(None, "info", {"event": value}))
