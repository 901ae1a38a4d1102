"""Any file is a configuration or one documented error; any edit says what it should.

Invariants: reading raises `ConfigUnreadable` or `ConfigInvalid` and nothing else; the
check of a file never raises; a value set in the text is the value that is then read, and
everything else reads as before.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from smoke import mutations, run_for_long

from openclaw_gateway.config.file import parse_text
from openclaw_gateway.config.json5_text import set_in_text, unset_in_text
from openclaw_gateway.config.key_paths import (
    MISSING,
    find_value,
    parse_path,
    show_path,
    with_value,
    without_value,
)
from openclaw_gateway.config.schema import check_file
from openclaw_gateway.config.secrets import hide_secrets, resolve
from openclaw_gateway.errors import BadParams, ConfigInvalid, ConfigUnreadable

PATH = Path("openclaw.json")
SEEDS = (
    b"{}",
    b"// note\n{\n  gateway: { port: 18789, auth: { token: '${TOKEN}' } }, // end\n}\n",
    b'{"plugins": {"entries": {"voice-call": {"config": {"a": [1, 2.5, null]}}}}}',
    b'{"plugins": {"load": {"paths": ["/a", "b"]}, "enabled": true}, "x": -Infinity}',
    b"{a: 0x1F, 'b\\u0041': \"\\x41\", /* c */ d: +1e3, e: 'line\\\ncontinued'}",
    b'{"models": {"providers": {"x": {"apiKey": {"source": "env", "id": "K"}}}}}',
)


def one_input(data: bytes) -> None:
    """Judge one input."""
    text = data.decode("utf-8", errors="replace")
    try:
        raw = parse_text(text, PATH)
    except (ConfigUnreadable, ConfigInvalid):
        return
    check_file(raw)
    hide_secrets(raw)
    shown = repr(raw)
    if "exec" not in shown and "file" not in shown:  # nothing is run or read here
        with contextlib.suppress(ConfigInvalid):
            resolve(dict(raw), "", {"TOKEN": "t"}, {})
    for path in (("gateway", "port"), *((key,) for key in list(raw)[:2])):
        _edit(text, dict(raw), path)
    _paths(text)


def _edit(text: str, raw: dict[str, object], path: tuple[str, ...]) -> None:
    """An edit gives a text that reads as asked, or one that the editor rejects.

    It rejects what reads otherwise, and then writes the file anew: see `config.edit`.
    So only that nothing else is raised can be asserted for doubled keys.
    """
    try:
        expected = with_value(raw, path, ["new"])
    except ConfigInvalid:
        return
    changed = set_in_text(text, path, ["new"])
    removed = None
    if find_value(raw, path) is not MISSING:
        removed = unset_in_text(text, path)
    if text.count(path[-1]) > 1 or "\\" in text:
        return  # perhaps a doubled key
    if changed is not None:
        assert repr(parse_text(changed, PATH)) == repr(expected)
    if removed is not None:
        left = repr(parse_text(removed, PATH))
        assert left == repr(without_value(raw, path))


def _paths(text: str) -> None:
    try:
        path = parse_path(text[:40])
    except BadParams:
        return
    assert parse_path(show_path(path)) == path


def test_smoke() -> None:
    for data in mutations(SEEDS, count=2000):
        one_input(data)


if __name__ == "__main__":
    run_for_long(one_input)
