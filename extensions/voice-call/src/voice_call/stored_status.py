"""Calls as the journal tells them, for when no Gateway runs. Writes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from voice_call.config import load_config
from voice_call.reports.record import full_record
from voice_call.runtime.journal_reader import JournalReader
from voice_call.runtime.recovery import rebuild

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["stored_status"]


def stored_status(
    raw_config: Mapping[str, Any], state_dir: Path, call_id: str | None
) -> dict[str, Any]:
    """Return one call, or those that were live when the Gateway stopped.

    Raises:
        ConfigError: The plugin's configuration does not say where the journal is.
        JournalError: The journal cannot be read.
    """
    environ = {**os.environ, "OPENCLAW_STATE_DIR": str(state_dir)}
    path = load_config(raw_config, environ=environ).journal_path
    if not path.exists():
        return {"found": False}
    reader = JournalReader.open_existing(path)
    try:
        if call_id is None:
            rebuilt = [rebuild(entries) for entries in reader.open_calls()]
            calls = [full_record(each.machine, each.facts) for each in rebuilt]
            return {"found": True, "calls": calls}
        known = reader.find(call_id)
        if known is None:
            return {"found": False}
        call = rebuild(reader.entries(known))
        return {"found": True, "call": full_record(call.machine, call.facts)}
    finally:
        reader.close_reader()
