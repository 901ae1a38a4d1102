"""How a command of ours reaches the running Gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["GatewayClient"]


class GatewayClient(Protocol):
    """How a command reaches the running Gateway; the hosting program provides it.

    Failures are exceptions with a stable `code` and a sentence; the host prints them
    and chooses the exit code.
    """

    @property
    def config(self) -> Mapping[str, Any]:
        """The whole configuration."""
        ...

    @property
    def state_dir(self) -> Path:
        """Where state is kept."""
        ...

    def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float
    ) -> Mapping[str, Any]:
        """Call an RPC method and return its result."""
        ...
