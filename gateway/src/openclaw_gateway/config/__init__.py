"""openclaw.json: read it with `load_config`, then ask it.

`file` finds and reads it, `secrets` replaces references, `gateway` says what it means
for the Gateway, `schema` and `check` what is wrong with it, `edit` changes it,
`reload` says which changes a running Gateway can take.
"""

from __future__ import annotations

from openclaw_gateway.config.file import Config, load_config
from openclaw_gateway.config.gateway import (
    DEFAULT_PORT,
    AuthMode,
    GatewaySettings,
    gateway_settings,
)

__all__ = [
    "DEFAULT_PORT",
    "AuthMode",
    "Config",
    "GatewaySettings",
    "gateway_settings",
    "load_config",
]
