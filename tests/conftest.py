"""Fixtures for every test: virtual time by default, so that nothing ever sleeps."""

from __future__ import annotations

from typing import Any

import pytest

from voice_call.testing.clock import VirtualTimeLoop


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Async tests run in virtual time; tests/e2e override this with real time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}
