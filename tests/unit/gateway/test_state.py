from __future__ import annotations

import os

import pytest

from openclaw_gateway.errors import AlreadyRunning, ConfigUnreadable
from openclaw_gateway.state import ensure_token, hold_lock, read_token


def test_there_is_no_token_before_one_is_made(tmp_path):
    assert read_token(tmp_path) == ""


def test_a_token_is_made_once(tmp_path):
    token = ensure_token(tmp_path / "new")
    assert len(token) == 32
    assert ensure_token(tmp_path / "new") == token
    assert read_token(tmp_path / "new") == token


def test_only_the_owner_can_read_the_token(tmp_path):
    ensure_token(tmp_path)
    assert (tmp_path / "gateway.token").stat().st_mode & 0o777 == 0o600


def test_a_state_directory_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigUnreadable, match="cannot be written"):
        ensure_token(tmp_path / "file")
    with (
        pytest.raises(ConfigUnreadable, match="cannot be written"),
        hold_lock(tmp_path / "file"),
    ):
        pass


def test_a_second_gateway_is_told_who_holds_the_directory(tmp_path):
    with (
        hold_lock(tmp_path),
        pytest.raises(AlreadyRunning) as caught,
        hold_lock(tmp_path),
    ):
        pass
    assert f"process {os.getpid()}" in str(caught.value)


def test_the_lock_ends_with_its_holder(tmp_path):
    with hold_lock(tmp_path):
        pass
    with hold_lock(tmp_path):
        pass
