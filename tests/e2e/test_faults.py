"""Faults of the place the Gateway runs in: one clear sentence, nothing half-written."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from e2e.gateway_process import GatewayProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.speech, pytest.mark.timeout(120)]


@contextmanager
def running_without_calls(gateway: GatewayProcess) -> Iterator[None]:
    """A Gateway that runs although its plugin does not."""
    gateway.start(ready_method="health")
    try:
        yield
    finally:
        gateway.stop()


def sentence_of(gateway: GatewayProcess) -> str:
    done = gateway.cli(
        "voicecall", "call", "--to", "+15550100000", "--message", "Hello."
    )
    assert done.returncode != 0
    return done.stderr.strip()


def test_a_corrupt_configuration_is_named_with_its_place(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.config.write_text("{ gateway: ")
    done = gateway.cli("gateway", "run")
    assert done.returncode != 0
    assert done.stderr.startswith("error[config_unreadable]: "), done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_disables_the_plugin_alone(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.write_config({"provider": "mock", "maxConcurentCalls": 2, "language": 7})
    with running_without_calls(gateway):
        sentence = sentence_of(gateway)
        assert sentence.startswith("error[config_invalid]: ")
        assert "maxConcurentCalls" in sentence
        assert "maxConcurrentCalls" in sentence
        assert "language" in sentence
        plugins = json.loads(gateway.cli("plugins", "list").stdout)["plugins"]
        assert plugins[0]["state"] != "running"


def test_a_journal_that_is_none(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    gateway.journal.parent.mkdir(parents=True)
    gateway.journal.write_bytes(b"these bytes are not a database" * 100)
    before = gateway.journal.read_bytes()
    with running_without_calls(gateway):
        assert sentence_of(gateway).startswith("error[journal_corrupt]: ")
    assert gateway.journal.read_bytes() == before


def test_a_journal_of_a_newer_version(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    with gateway:
        pass
    with sqlite3.connect(gateway.journal) as newer:
        newer.execute("UPDATE meta SET value = 999 WHERE key = 'version'")
    newer.close()
    with running_without_calls(gateway):
        assert sentence_of(gateway).startswith("error[journal_too_new]: ")


def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path)
    (gateway.state / "voice-calls").write_text("a file where a folder should be")
    with running_without_calls(gateway):
        assert sentence_of(gateway).startswith("error[journal_unwritable]: ")
