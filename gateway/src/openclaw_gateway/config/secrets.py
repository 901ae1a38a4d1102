"""References in the configuration: `${NAME}` in texts, and objects that name a secret.

    {"source": "env", "id": "NAME"}                            an environment variable
    {"source": "file", "path": "/run/x", "pointer": "/a/b"}    a file of its owner only
    {"source": "exec", "argv": ["op", "read", "op://x"]}       what a program prints

`id` may be written `name`. `pointer` (RFC 6901) takes one text out of a JSON file.
`timeoutMs` bounds a program (default 5000). A program is run without a shell, with
nothing on its standard input; more than 64 KiB of output is an error. No message here
ever carries a value, nor anything that a program printed.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw_gateway.config.problems import near_name
from openclaw_gateway.errors import ConfigInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HIDDEN",
    "Memory",
    "has_reference",
    "hide_secrets",
    "is_reference",
    "resolve",
]

Memory = dict[str, str]
"""Secrets that were fetched already, so that each program runs once."""

MAX_SECRET_BYTES = 64 << 10
DEFAULT_TIMEOUT_MS = 5_000
MAX_TIMEOUT_MS = 60_000

_VARIABLE = re.compile(r"(\$?)\$\{([A-Z_][A-Z0-9_]*)\}")
_KEYS = {
    "env": {"source", "provider", "id", "name"},
    "file": {"source", "provider", "path", "pointer"},
    "exec": {"source", "provider", "argv", "timeoutMs"},
}
_NAMING = {"id", "name", "path", "argv"}


def is_reference(value: Any) -> bool:
    """Say whether an object stands for a secret."""
    if not isinstance(value, dict):
        return False
    return value.get("source") in tuple(_KEYS) and not _NAMING.isdisjoint(value)


def has_reference(value: Any) -> bool:
    """Say whether a value is, or its text contains, a reference."""
    if isinstance(value, str):
        return any(not found[1] for found in _VARIABLE.finditer(value))
    return is_reference(value)


def resolve(
    value: Any, key_path: str, environ: Mapping[str, str], memory: Memory
) -> Any:
    """Return a value with all its references replaced.

    Raises:
        ConfigInvalid: A reference is malformed, or leads nowhere.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda it: _substitute(it, key_path, environ), value)
    if is_reference(value):
        key = json.dumps(value, sort_keys=True)
        if key not in memory:
            memory[key] = _fetch(value, key_path, environ)
        return memory[key]
    if isinstance(value, dict):
        prefix = f"{key_path}." if key_path else ""
        return {
            key: resolve(item, f"{prefix}{key}", environ, memory)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            resolve(item, f"{key_path}[{index}]", environ, memory)
            for index, item in enumerate(value)
        ]
    return value


def _substitute(found: re.Match[str], key_path: str, env: Mapping[str, str]) -> str:
    escaped, name = found.groups()
    if escaped:
        return found.group(0)[1:]
    if name not in env:
        raise ConfigInvalid(
            f"the environment variable {name} is not set.", key_path=key_path
        )
    return env[name]


def _fetch(
    reference: Mapping[str, Any], key_path: str, environ: Mapping[str, str]
) -> str:
    source = reference["source"]
    for key in reference:
        if key not in _KEYS[source]:
            hint = near_name(key, _KEYS[source])
            raise ConfigInvalid(
                f"unknown key of a secret reference{hint}.",
                key_path=f"{key_path}.{key}",
            )
    match source:
        case "env":
            return _from_environment(reference, key_path, environ)
        case "file":
            return _from_file(reference, key_path)
        case _:
            return _from_program(reference, key_path, environ)


def _from_environment(
    reference: Mapping[str, Any], key_path: str, environ: Mapping[str, str]
) -> str:
    name = reference.get("id", reference.get("name"))
    if not isinstance(name, str) or not name:
        raise ConfigInvalid("must name a variable.", key_path=f"{key_path}.id")
    if not environ.get(name):
        raise ConfigInvalid(
            f"the environment variable {name} is not set.", key_path=key_path
        )
    return environ[name]


def _from_file(reference: Mapping[str, Any], key_path: str) -> str:
    named, pointer = reference.get("path"), reference.get("pointer")
    if not isinstance(named, str) or not Path(named).expanduser().is_absolute():
        raise ConfigInvalid("must be an absolute path.", key_path=f"{key_path}.path")
    if pointer is not None and (
        not isinstance(pointer, str) or (pointer and not pointer.startswith("/"))
    ):
        raise ConfigInvalid(
            "must be a JSON pointer such as /twilio/authToken.",
            key_path=f"{key_path}.pointer",
        )
    text = _read_private(Path(named).expanduser(), key_path)
    if pointer is None:
        return _checked(text, key_path)
    try:
        found = json.loads(text)
    except ValueError:
        raise ConfigInvalid(
            f"the secret file {named} is no JSON, but a pointer is given.",
            key_path=key_path,
        ) from None
    for step in pointer.split("/")[1:]:
        found = _step(found, step.replace("~1", "/").replace("~0", "~"))
    if not isinstance(found, str):
        raise ConfigInvalid(
            f"the secret file {named} has no text at {pointer}.", key_path=key_path
        )
    return _checked(found, key_path)


def _step(place: Any, step: str) -> Any:
    if isinstance(place, dict):
        return place.get(step)
    if isinstance(place, list) and step.isdecimal() and int(step) < len(place):
        return place[int(step)]
    return None


def _read_private(path: Path, key_path: str) -> bytes:
    try:
        # Not blocking, for a named pipe in the place of the file.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigInvalid(
            f"the secret file {path} cannot be read: {error.strerror}.",
            key_path=key_path,
        ) from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigInvalid(f"{path} is no file.", key_path=key_path)
        if status.st_mode & 0o077:
            raise ConfigInvalid(
                f"others can read the secret file {path}; run chmod 600 on it.",
                key_path=key_path,
            )
        with os.fdopen(os.dup(handle), "rb") as file:
            return file.read(MAX_SECRET_BYTES + 1)
    finally:
        os.close(handle)


def _from_program(
    reference: Mapping[str, Any], key_path: str, environ: Mapping[str, str]
) -> str:
    argv, timeout_ms = reference.get("argv"), reference.get("timeoutMs")
    if not isinstance(argv, list) or not argv or not all(_is_word(w) for w in argv):
        raise ConfigInvalid(
            "must be a list of texts: the program and its arguments.",
            key_path=f"{key_path}.argv",
        )
    if timeout_ms is None:
        timeout_ms = DEFAULT_TIMEOUT_MS
    if type(timeout_ms) is not int or not 1 <= timeout_ms <= MAX_TIMEOUT_MS:
        raise ConfigInvalid(
            f"must be a whole number from 1 to {MAX_TIMEOUT_MS}.",
            key_path=f"{key_path}.timeoutMs",
        )
    # Few configurations have one of these.
    from openclaw_gateway.config.programs import ProgramFailed, output_of  # noqa: PLC0415

    try:
        output = output_of(
            argv, environ, limit_s=timeout_ms / 1000, limit_bytes=MAX_SECRET_BYTES
        )
    except ProgramFailed as error:
        raise ConfigInvalid(
            f"the secret program {argv[0]} {error}.", key_path=key_path
        ) from None
    return _checked(output, key_path)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _checked(value: bytes | str, key_path: str) -> str:
    """Return the secret without the line end that editors and programs add."""
    if len(value) > MAX_SECRET_BYTES:
        raise ConfigInvalid(
            f"the secret is longer than {MAX_SECRET_BYTES} bytes.", key_path=key_path
        )
    try:
        text = value if isinstance(value, str) else value.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigInvalid(
            "the secret is not UTF-8 text.", key_path=key_path
        ) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise ConfigInvalid("the secret is empty.", key_path=key_path)
    return text


_SECRET_NAMES = ("token", "secret", "password", "apikey", "credential", "privatekey")
HIDDEN = "[hidden]"


def hide_secrets(value: Any, *, key: str = "") -> Any:
    """Return a value in which texts under names of secrets are hidden.

    References stay: they say where a secret is, not what it is.
    """
    if isinstance(value, dict):
        if is_reference(value):
            return value
        return {name: hide_secrets(item, key=name) for name, item in value.items()}
    if isinstance(value, list):
        return [hide_secrets(item, key=key) for item in value]
    folded = key.lower().replace("_", "").replace("-", "")
    if isinstance(value, str) and any(name in folded for name in _SECRET_NAMES):
        return value if _VARIABLE.fullmatch(value) else HIDDEN
    return value
