"""One call machine, moved by hand: for tests of what a call does, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from voice_call.call.events import Answered, Offered, StreamOpened
from voice_call.call.machine import CallMachine
from voice_call.call.model import StreamId

if TYPE_CHECKING:
    from voice_call.call.actions import CallAction, CallCommand
    from voice_call.call.events import CallEvent
    from voice_call.call.setup import CallSetup

__all__ = ["ScriptedCall", "of_type"]

_Action = TypeVar("_Action")


def of_type(actions: list[CallAction], kind: type[_Action]) -> list[_Action]:
    """Return the actions of one kind, in order."""
    return [action for action in actions if isinstance(action, kind)]


class ScriptedCall:
    """A call machine with its own time, which moves only when told.

    Attributes:
        machine: The machine.
        now: The call's time in seconds since 1970; it begins at 1000.
        actions: Everything that the machine has asked for so far.
    """

    def __init__(self, setup: CallSetup) -> None:
        self.now = 1000.0
        self.machine = CallMachine(setup, now=self.now)
        self.actions: list[CallAction] = []

    def start(self) -> list[CallAction]:
        """Begin the call: dial it, or have it offered."""
        if self.machine.setup.is_outbound:
            return self._note(self.machine.start(now=self.now))
        return self.receive(Offered())

    def connect(self, stream_id: str = "stream-1") -> list[CallAction]:
        """Begin the call, have it answered, and open its stream if it has one."""
        actions = self.start() + self.receive(Answered())
        if self.machine.setup.has_streams:
            actions += self.receive(StreamOpened(stream_id=StreamId(stream_id)))
        return actions

    def receive(self, *events: CallEvent) -> list[CallAction]:
        """Let the events happen now, one after another."""
        return [
            action
            for event in events
            for action in self._note(self.machine.receive(event, now=self.now))
        ]

    def request(self, command: CallCommand) -> list[CallAction]:
        """Ask for something now.

        Raises:
            CallError: As `CallMachine.request`.
        """
        return self._note(self.machine.request(command, now=self.now))

    def wait(self, seconds: float) -> list[CallAction]:
        """Let time pass; each deadline on the way takes effect when it is due."""
        until = self.now + seconds
        actions: list[CallAction] = []
        while (due := self.machine.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            actions += self._note(self.machine.tick(self.now))
        self.now = until
        return actions

    def _note(self, actions: tuple[CallAction, ...]) -> list[CallAction]:
        self.actions += actions
        return list(actions)
