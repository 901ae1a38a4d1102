"""The RPC methods `voicecall.*`: each only translates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_call.operations import CallOperations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voice_call.host import Host

    Operations = Callable[[], Awaitable[CallOperations]]

__all__ = ["METHODS", "Method", "register_methods"]

READ = "operator.read"
WRITE = "operator.write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC method.

    Attributes:
        name: As clients call it.
        scope: What a client needs to be allowed.
        operation: What it does.
        needs_speech: True where the speech engines have to be ready first.
    """

    name: str
    scope: str
    operation: Callable[
        [CallOperations, Mapping[str, Any]], Awaitable[Mapping[str, Any]]
    ]
    needs_speech: bool = False


METHODS = (
    Method(
        name="voicecall.initiate",
        scope=WRITE,
        operation=CallOperations.initiate,
        needs_speech=True,
    ),
    Method(
        name="voicecall.start",
        scope=WRITE,
        operation=CallOperations.start,
        needs_speech=True,
    ),
    Method(
        name="voicecall.continue",
        scope=WRITE,
        operation=CallOperations.ask,
    ),
    Method(
        name="voicecall.continue.start",
        scope=WRITE,
        operation=CallOperations.ask_start,
    ),
    Method(
        name="voicecall.continue.result",
        scope=WRITE,
        operation=CallOperations.ask_result,
    ),
    Method(name="voicecall.speak", scope=WRITE, operation=CallOperations.speak),
    Method(name="voicecall.dtmf", scope=WRITE, operation=CallOperations.send_digits),
    Method(
        name="voicecall.callIn",
        scope=WRITE,
        operation=CallOperations.call_in,
        needs_speech=True,
    ),
    Method(name="voicecall.end", scope=WRITE, operation=CallOperations.end),
    Method(name="voicecall.status", scope=READ, operation=CallOperations.status),
    Method(name="voicecall.describe", scope=WRITE, operation=CallOperations.describe),
)
"""`voicecall.status` tells neither numbers nor words; `voicecall.describe` everything."""


def register_methods(host: Host, *, status: Operations, others: Operations) -> None:
    """Offer every method at the host.

    Args:
        host: The hosting program.
        status: Gives the operations at once, or raises why there are none.
        others: Gives them when calls can be spoken on, or raises why not.
    """
    for method in METHODS:
        operations = others if method.needs_speech else status
        handler = _handler(method, operations)
        host.register_method(method.name, handler, scope=method.scope)


def _handler(
    method: Method, operations: Operations
) -> Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]:
    async def handle(params: Mapping[str, Any]) -> Mapping[str, Any]:
        return await method.operation(await operations(), params)

    return handle
