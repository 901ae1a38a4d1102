"""How Twilio signs what it sends. PURE.

Source: Twilio's "Webhooks security" page; the upgrade rule from a recorded request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["sign_upgrade", "sign_webhook"]


def sign_webhook(url: str, form: Iterable[tuple[str, str]], *, auth_token: str) -> str:
    """Return `X-Twilio-Signature` of a request.

    Args:
        url: As configured, with its query and without a fragment.
        form: Decoded form fields of a POST; nothing for a GET.
        auth_token: The account's secret.
    """
    fields = "".join(key + value for key, value in sorted(set(form)))
    digest = hmac.new(auth_token.encode(), (url + fields).encode(), hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()


def sign_upgrade(url: str, *, auth_token: str) -> str:
    """Return `X-Twilio-Signature` of a WebSocket upgrade.

    The query is never signed, and an empty path is signed as `/`.
    """
    parts = urlsplit(url)
    signed = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", "", ""))
    return sign_webhook(signed, (), auth_token=auth_token)
