"""The state directory: one Gateway at a time, and the token that its CLI shares."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

from openclaw_gateway.errors import AlreadyRunning, ConfigUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ensure_token", "hold_lock", "read_token"]

TOKEN_BYTES = 24


def read_token(state_dir: Path) -> str:
    """Return the generated token, or nothing where there is none (or not for us)."""
    try:
        return _token_path(state_dir).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def ensure_token(state_dir: Path) -> str:
    """Return the generated token; generate it the first time.

    Only the owner can read the file, so whoever knows the token is the owner.

    Raises:
        ConfigUnreadable: The state directory cannot be written.
    """
    token = read_token(state_dir)
    if token:
        return token
    token = secrets.token_urlsafe(TOKEN_BYTES)
    path = _token_path(state_dir)
    fresh = path.with_suffix(".token.new")
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token + "\n")
        fresh.replace(path)
    except OSError as error:
        raise ConfigUnreadable(
            f"The token file {path} cannot be written: {error.strerror}."
        ) from error
    return token


@contextlib.contextmanager
def hold_lock(state_dir: Path) -> Iterator[None]:
    """Keep other Gateways off the state directory while the context lasts.

    Raises:
        AlreadyRunning: Another Gateway holds it.
        ConfigUnreadable: The state directory cannot be written.
    """
    path = state_dir / "gateway.lock"
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise ConfigUnreadable(
            f"The state directory {state_dir} cannot be written: {error.strerror}."
        ) from error
    with os.fdopen(handle, "r+", encoding="ascii", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = file.read(32).strip() or "unknown"
            raise AlreadyRunning(
                f"Another Gateway (process {holder}) uses the state directory "
                f"{state_dir}; stop it, or set OPENCLAW_STATE_DIR to another one."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _token_path(state_dir: Path) -> Path:
    return state_dir / "gateway.token"
