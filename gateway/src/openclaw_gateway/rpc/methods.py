"""The methods a Gateway offers, and how one request is carried out.

A request that carries `idempotencyKey` is carried out once: the same key with the same
parameters gets the same answer for ten minutes, also while the first run still works.
The handler does not see the key.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from openclaw_gateway.errors import BadParams
from openclaw_gateway.rpc.auth import is_scope_granted
from openclaw_gateway.rpc.frames import INVALID_REQUEST, UNAVAILABLE, ErrorShape

__all__ = ["AnswerMemory", "Handler", "Method", "MethodTable", "describe_error"]

_log = structlog.get_logger(__name__)

Handler = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]

IDEMPOTENCY_KEY = "idempotencyKey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One thing that clients can ask for.

    Attributes:
        name: Its name on the wire.
        handler: Carries it out.
        scope: What the client must be allowed to do, or empty for every client.
        owner: The plugin it comes from, or `core`.
        is_cancelled_on_disconnect: Whether the run ends when its client goes away.
    """

    name: str
    handler: Handler
    scope: str
    owner: str = "core"
    is_cancelled_on_disconnect: bool = False


class MethodTable:
    """All methods by name; the first to register a name keeps it."""

    def __init__(self, memory: AnswerMemory | None = None) -> None:
        self._methods: dict[str, Method] = {}
        self._memory = memory or AnswerMemory()

    @property
    def names(self) -> list[str]:
        """The names on offer, sorted."""
        return sorted(self._methods)

    def add(self, method: Method) -> None:
        """Offer a method.

        Raises:
            ValueError: Another owner offers a method of that name already.
        """
        known = self._methods.get(method.name)
        if known is not None:
            raise ValueError(
                f"The method {method.name} is registered already by {known.owner}."
            )
        self._methods[method.name] = method

    def find(self, name: str) -> Method | None:
        """Return the method of that name, or None."""
        return self._methods.get(name)

    def refuse(self, name: str, scopes: tuple[str, ...]) -> ErrorShape | None:
        """Return why a client with these scopes may not call `name`, or None."""
        method = self._methods.get(name)
        if method is None:
            return ErrorShape(
                code=INVALID_REQUEST,
                message=f"unknown method: {name}",
                details={"code": "unknown_method"},
            )
        if method.scope and not is_scope_granted(method.scope, scopes):
            return ErrorShape(
                code=INVALID_REQUEST,
                message=f"missing scope: {method.scope}",
                details={"code": "missing_scope"},
            )
        return None

    async def call(self, method: Method, params: Mapping[str, Any]) -> Any:
        """Carry out one request.

        Raises:
            BadParams: The idempotency key is no text, or was used with other
                parameters.
            Exception: Whatever the handler raises.
        """
        if IDEMPOTENCY_KEY not in params:
            return await method.handler(params)
        key = params[IDEMPOTENCY_KEY]
        if not isinstance(key, str) or not 0 < len(key) <= 256:  # noqa: PLR2004 - as an id
            raise BadParams("idempotencyKey must be a text of 1 to 256 characters.")
        rest = {k: v for k, v in params.items() if k != IDEMPOTENCY_KEY}
        return await self._memory.run_once(method, key, rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    params: Mapping[str, Any]
    run: asyncio.Task[Any]
    started_at: float


class AnswerMemory:
    """Remembers what was answered to requests with an idempotency key; bounded.

    Args:
        keep_s: How long an answer is remembered, in seconds.
        max_answers: How many finished ones are remembered at most.
    """

    def __init__(self, *, keep_s: float = 600.0, max_answers: int = 1024) -> None:
        self._keep_s = keep_s
        self._max_answers = max_answers
        self._answers: OrderedDict[tuple[str, str], _Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    async def run_once(
        self, method: Method, key: str, params: Mapping[str, Any]
    ) -> Any:
        """Run the handler, or return what an earlier run with this key returned.

        Raises:
            BadParams: The key was used with other parameters.
            Exception: Whatever the first run raised.
        """
        now = asyncio.get_running_loop().time()
        self._forget(now)
        slot = (method.name, key)
        known = self._answers.get(slot)
        if known is None:
            run = asyncio.ensure_future(_as_coroutine(method.handler(params)))
            run.add_done_callback(_mark_retrieved)
            known = _Remembered(params=params, run=run, started_at=now)
            self._answers[slot] = known
        elif known.params != params:
            raise BadParams("idempotencyKey was used before with other parameters.")
        return await asyncio.shield(known.run)

    def _forget(self, now: float) -> None:
        finished = [slot for slot, known in self._answers.items() if known.run.done()]
        surplus = len(finished) - self._max_answers + 1
        for index, slot in enumerate(finished):
            is_old = now - self._answers[slot].started_at > self._keep_s
            if is_old or index < surplus:
                del self._answers[slot]


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _mark_retrieved(run: asyncio.Task[Any]) -> None:
    """Look at a failure once, so that asyncio does not report it as unseen."""
    if not run.cancelled():
        run.exception()


def describe_error(error: Exception, *, method: str) -> ErrorShape:
    """Turn whatever a handler raised into what the client is told.

    An exception with a `code` and an `is_request_fault` speaks for itself; any other
    is a defect: it is logged with its traceback and named `internal_error`.
    """
    code = getattr(error, "code", None)
    is_request_fault = getattr(error, "is_request_fault", None)
    if isinstance(code, str) and isinstance(is_request_fault, bool):
        retryable = getattr(error, "retryable", None)
        return ErrorShape(
            code=INVALID_REQUEST if is_request_fault else UNAVAILABLE,
            message=str(error),
            details={"code": code},
            retryable=retryable if isinstance(retryable, bool) else None,
        )
    _log.error("method failed", method=method, exc_info=error)
    return internal_error(method)


def internal_error(method: str) -> ErrorShape:
    """Return what a client is told about a defect of ours."""
    return ErrorShape(
        code=UNAVAILABLE,
        message=f"{method} failed inside the Gateway; its log says why.",
        details={"code": "internal_error"},
    )
