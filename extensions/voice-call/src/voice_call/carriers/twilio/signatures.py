"""Twilio's request signature.

PURE. `X-Twilio-Signature` is the Base64 of an HMAC-SHA1, keyed with the account's auth
token, over the URL and the form fields. Source: Twilio's page on webhook security and
its Python SDK 9.13 (the judge in the tests).

Twilio writes the signed text without separators, so different requests can have the same
one. That is why a request is known by its signed text and never by how it was split.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["sign", "signed_text", "upgrade_url", "url_variants"]

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>(?:[^/?#@]*@)?(?:\[[^\]/?#]*\]|[^:/?#]*))"
    r"(?P<port>:[0-9]*)?"
    r"(?P<rest>(?:[/?#].*)?)",
    re.DOTALL,
)
_SECURE = frozenset({"https", "wss"})


def signed_text(url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """Return what is signed: the URL, then each key with each of its values, sorted.

    A repeated value of a key counts once, and an empty value counts.
    """
    values: dict[str, set[str]] = {}
    for key, value in fields:
        values.setdefault(key, set()).add(value)
    return url + "".join(
        key + value for key in sorted(values) for value in sorted(values[key])
    )


def sign(auth_token: str, text: str) -> str:
    """Return the signature of a signed text."""
    digest = hmac.digest(
        auth_token.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha1
    )
    return base64.b64encode(digest).decode("ascii")


def url_variants(url: str) -> tuple[str, ...]:
    """Return the forms in which Twilio may have signed a URL, the given one first.

    Twilio has signed URLs both with and without their port.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        return (url,)
    default = ":443" if parts["scheme"].lower() in _SECURE else ":80"
    start, rest = f"{parts['scheme']}://{parts['host']}", parts["rest"]
    with_port = f"{start}{parts['port'] or default}{rest}"
    return tuple(dict.fromkeys((url, f"{start}{rest}", with_port)))


def upgrade_url(url: str) -> str:
    """Return the URL as which Twilio signs the opening of a media socket.

    `wss://host/path` without a query, with a slash where the path is empty.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        return url
    path = re.split("[?#]", parts["rest"], maxsplit=1)[0] or "/"
    scheme = {"https": "wss", "http": "ws"}.get(parts["scheme"], parts["scheme"])
    return f"{scheme}://{parts['host']}{parts['port'] or ''}{path}"
