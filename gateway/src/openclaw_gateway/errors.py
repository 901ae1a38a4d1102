"""Everything that can go wrong in the Gateway and in its clients.

Each class has one stable `code`, which RPC and CLI show unchanged, and one sentence
that says what to do. No message carries a token.

    GatewayError
    ├── ConfigUnreadable   config_unreadable   the configuration file cannot be read
    ├── ConfigInvalid      config_invalid      a setting is wrong; names its key path
    ├── AlreadyRunning     gateway_running     another Gateway holds the state directory
    ├── PortTaken          port_in_use         something else listens on the port
    ├── GatewayDown        gateway_down        nothing listens at the address
    ├── GatewayRefused     gateway_auth        the Gateway does not accept the token
    ├── GatewayTimeout     gateway_timeout     the Gateway did not answer in time
    ├── ProtocolViolated   protocol_error      a peer sent what it must not send
    ├── RequestFailed      (the server's own)  the Gateway answered with an error
    ├── BadParams          invalid_params      a request's parameters are wrong
    ├── NotYet             plugin_starting     the plugin has not started yet
    ├── PluginDown         plugin_failed       the plugin did not start
    └── AgentFailed        agent_failed        the agent failed or took too long

Plugins need none of these classes: whatever exception of theirs has a `code` and an
`is_request_fault` attribute reaches the client in the same shape.
"""

from __future__ import annotations

__all__ = [
    "AgentFailed",
    "AlreadyRunning",
    "BadParams",
    "ConfigInvalid",
    "ConfigUnreadable",
    "GatewayDown",
    "GatewayError",
    "GatewayRefused",
    "GatewayTimeout",
    "NotYet",
    "PluginDown",
    "PortTaken",
    "ProtocolViolated",
    "RequestFailed",
]


class GatewayError(Exception):
    """Any failure of the Gateway or of a client of it.

    Attributes:
        code: Stable, machine-readable name of the failure class.
        is_request_fault: True where the request itself is wrong, so that sending it
            again unchanged cannot help.
    """

    code: str = "internal_error"
    is_request_fault: bool = False


class ConfigUnreadable(GatewayError):
    """Raised when the configuration file cannot be read or is not JSON5."""

    code = "config_unreadable"


class ConfigInvalid(GatewayError):
    """Raised when a setting is wrong.

    Attributes:
        key_path: Where the setting lives, from the root of the file.
    """

    code = "config_invalid"

    def __init__(self, message: str, *, key_path: str) -> None:
        super().__init__(f"{key_path}: {message}")
        self.key_path = key_path


class AlreadyRunning(GatewayError):
    """Raised when another Gateway uses the same state directory."""

    code = "gateway_running"


class PortTaken(GatewayError):
    """Raised when the Gateway cannot listen on its port."""

    code = "port_in_use"


class GatewayDown(GatewayError):
    """Raised at once when nothing listens at the Gateway's address."""

    code = "gateway_down"


class GatewayRefused(GatewayError):
    """Raised when the Gateway does not accept the token or password."""

    code = "gateway_auth"


class GatewayTimeout(GatewayError):
    """Raised when the Gateway does not answer in time."""

    code = "gateway_timeout"


class ProtocolViolated(GatewayError):
    """Raised when a peer sends something that the protocol does not allow."""

    code = "protocol_error"


class RequestFailed(GatewayError):
    """Raised when the Gateway answers a request with an error.

    Attributes:
        code: `details.code` of the answer if it has one, else the wire code.
        message: The sentence the Gateway gave.
        wire_code: The protocol's own class: `INVALID_REQUEST`, `UNAVAILABLE`, …
        retryable: What the Gateway says about sending the same request again.
    """

    def __init__(
        self, message: str, *, code: str, wire_code: str, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.wire_code = wire_code
        self.is_request_fault = wire_code == "INVALID_REQUEST"
        self.retryable = retryable


class BadParams(GatewayError):
    """Raised when a request's parameters are missing or of the wrong kind."""

    code = "invalid_params"
    is_request_fault = True


class NotYet(GatewayError):
    """Raised when a method is called before its plugin has started."""

    code = "plugin_starting"


class PluginDown(GatewayError):
    """Raised when a method is called whose plugin failed to start.

    Attributes:
        code: The plugin's own stable code for what is wrong, where it gave one.
    """

    code = "plugin_failed"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class AgentFailed(GatewayError):
    """Raised when the agent fails, is unknown, or takes too long."""

    code = "agent_failed"
