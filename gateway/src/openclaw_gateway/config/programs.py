"""Runs a program for what it prints: no shell, bounded in time and in bytes."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ProgramFailed", "output_of"]

CHUNK_BYTES = 16 << 10


class ProgramFailed(Exception):
    """Raised when a program gave no output; says why, never what it printed."""


def output_of(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    limit_s: float,
    limit_bytes: int,
) -> bytes:
    """Return what a program prints on its standard output.

    Args:
        argv: The program and its arguments.
        environ: Its environment.
        limit_s: How long it may take; then it and its children are killed.
        limit_bytes: How much it may print; likewise.

    Raises:
        ProgramFailed: It cannot be started, fails, or exceeds a limit.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the owner's own configuration
            list(argv),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramFailed(f"cannot be started: {error.strerror}") from None
    deadline = time.monotonic() + limit_s
    try:
        output = _read(process, deadline, limit_bytes)
        code = process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise ProgramFailed(f"did not end within {limit_s:g} seconds") from None
    finally:
        _end(process)
    if code:
        raise ProgramFailed(f"failed with exit code {code}")
    return output


def _read(process: subprocess.Popen[bytes], deadline: float, limit_bytes: int) -> bytes:
    assert process.stdout is not None
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            chunk = os.read(process.stdout.fileno(), CHUNK_BYTES)
            if not chunk:
                return output
            output += chunk
            if len(output) > limit_bytes:
                raise ProgramFailed(f"printed more than {limit_bytes} bytes")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still runs of it, its children included."""
    if process.poll() is None:
        # Only while it lives is its group surely its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
