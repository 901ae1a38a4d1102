"""A call rebuilt from its journal, by replay alone."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from voice_call.call.actions import CallCommand, Speak, StartReply
from voice_call.call.events import AgentSpeechEnded, CallEvent, Dialed
from voice_call.call.machine import CallMachine
from voice_call.call.setup import CallSetup
from voice_call.errors import CallError, JournalCorrupt
from voice_call.reports.record import CallFacts
from voice_call.runtime.journal_codec import CallOpened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from voice_call.call.actions import CallAction
    from voice_call.call.model import CarrierCallId
    from voice_call.runtime.journal_codec import JournalEntry

__all__ = ["RebuiltCall", "pack_setup", "rebuild"]


class RebuiltCall:
    """A call as the journal tells it.

    Attributes:
        opened: What was fixed about it.
        machine: Where it stood after the last entry.
        facts: What a public record needs beside the machine.
        speaking: Ids of what was being said, or about to be: nobody says it any more.
    """

    def __init__(
        self,
        opened: CallOpened,
        machine: CallMachine,
        carrier_call_id: CarrierCallId | None,
        speaking: Iterable[str],
    ) -> None:
        self.opened = opened
        self.machine = machine
        self.speaking = tuple(speaking)
        self.facts = CallFacts(
            carrier=opened.carrier,
            carrier_call_id=(
                carrier_call_id or machine.carrier_call_id or opened.carrier_call_id
            ),
            from_=opened.from_,
            to=opened.to,
            session_key=opened.session_key,
        )


def pack_setup(setup: CallSetup) -> dict[str, Any]:
    """Return a call's setup as JSON, for `CallOpened`."""
    packed: dict[str, Any] = msgspec.to_builtins(setup)
    return packed


def rebuild(
    entries: Sequence[JournalEntry], *, carrier_call_id: CarrierCallId | None = None
) -> RebuiltCall:
    """Replay a call's entries; nothing is asked of the world.

    Deadlines that passed between two entries take effect at their own time, as they
    did when the call was live. Those after the last entry are left to the caller.

    Args:
        entries: Everything about one call, in order.
        carrier_call_id: The carrier's newest id of it, as the journal's list of calls
            has it; None for the one that the entries tell of.

    Raises:
        JournalCorrupt: The entries do not begin with a call's opening.
    """
    if not entries or not isinstance(entries[0].what, CallOpened):
        raise JournalCorrupt(
            "A call in the journal has no beginning; restore a backup."
        )
    first, opened = entries[0], entries[0].what
    try:
        setup = msgspec.convert(opened.limits, CallSetup)
    except msgspec.ValidationError as fault:
        raise JournalCorrupt(
            "A call in the journal has an unreadable beginning; restore a backup."
        ) from fault
    machine = CallMachine(setup, now=first.at)
    machine.start(now=first.at)
    speaking: dict[str, None] = {}  # in the order in which it began
    for entry in entries[1:]:
        if isinstance(entry.what, AgentSpeechEnded):
            speaking.pop(entry.what.utterance_id, None)
        for action in _replay(machine, entry):
            if isinstance(action, Speak):
                speaking[action.utterance_id] = None
            elif isinstance(action, StartReply):
                speaking[action.reply_id] = None
    return RebuiltCall(opened, machine, carrier_call_id, speaking)


def _replay(machine: CallMachine, entry: JournalEntry) -> list[CallAction]:
    what = entry.what
    actions: list[CallAction] = []
    while (due := machine.next_deadline()) is not None and due <= entry.at:
        actions += machine.tick(due)
    if isinstance(what, CallCommand):
        with suppress(CallError):  # it was refused when it was live, too
            actions += machine.request(what, now=entry.at)
    elif isinstance(what, CallEvent):
        actions += machine.receive(what, now=entry.at)
        if isinstance(what, Dialed):
            machine.carrier_call_id = what.carrier_call_id
    return actions
