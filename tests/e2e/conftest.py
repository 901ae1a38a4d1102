"""End-to-end tests have real network peers, so they run in real time."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Async tests run on a plain event loop."""
    return "asyncio", {}
