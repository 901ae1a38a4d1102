"""What a command gets from the Gateway's command line: see `cli`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config import Config, load_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from openclaw_gateway.rpc.client import Address

__all__ = ["CommandContext"]


class CommandContext:
    """The Gateway, as one command sees it.

    Args:
        url: Overrides where the Gateway is.
        token: Overrides how to prove oneself there.
        environ: The environment; the process's own if None.
    """

    def __init__(
        self,
        *,
        url: str = "",
        token: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._environ = environ

    @cached_property
    def loaded(self) -> Config:
        """The configuration as a whole, read on first use.

        Raises:
            ConfigUnreadable: The file cannot be read, or is not JSON5.
            ConfigInvalid: The file holds something else than an object.
        """
        return load_config(self._environ)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The configuration file with its variables replaced, read on first use.

        Raises:
            ConfigUnreadable: The file cannot be read, or is not JSON5.
            ConfigInvalid: A variable is not set.
        """
        return self.loaded.whole()

    @property
    def state_dir(self) -> Path:
        """Where the Gateway keeps its state."""
        return self.loaded.state_dir

    @property
    def address(self) -> Address:
        """Where the Gateway should be."""
        from openclaw_gateway.rpc.client import find_address  # noqa: PLC0415 - on use

        return find_address(self.loaded, url=self._url, token=self._token)

    def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float
    ) -> dict[str, Any]:
        """Ask the running Gateway once.

        Raises:
            GatewayError: With the attributes `code` and `is_request_fault`;
                `gateway_down` where nothing listens, `gateway_auth`,
                `gateway_timeout`, or the code of the failure that the Gateway names.
        """
        from openclaw_gateway.rpc.client import GatewayClient  # noqa: PLC0415 - on use

        with GatewayClient(self.address, timeout_s=min(timeout_s, 10.0)) as gateway:
            return gateway.call(method, params, timeout_s=timeout_s)

    def events(self, *, prefix: str = "") -> Iterator[dict[str, Any]]:
        """Yield `{"event", "payload", "seq"}` as they come, until the Gateway stops.

        Raises:
            GatewayError: As `call`.
        """
        from openclaw_gateway.rpc.client import GatewayClient  # noqa: PLC0415 - on use

        with GatewayClient(self.address) as gateway:
            yield from gateway.events(prefix=prefix)
