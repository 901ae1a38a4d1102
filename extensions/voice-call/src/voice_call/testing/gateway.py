"""A Gateway that answers commands from a script, for tests of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Answer = Mapping[str, Any] | Exception

__all__ = ["AskedMethod", "FakeGatewayClient", "GatewayFault"]


class GatewayFault(Exception):
    """Raised as the Gateway's own client raises: with a code and a sentence.

    Attributes:
        code: Stable name of the failure class, for example `gateway_down`.
        is_request_fault: True where the request itself is wrong.
    """

    is_request_fault = False

    def __init__(self, code: str, message: str = "It failed, as told.") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedMethod:
    """One call of an RPC method; the timeout is in seconds."""

    method: str
    params: Mapping[str, Any]
    timeout_s: float


class FakeGatewayClient:
    """Answers each method with its next answer; the last one is given for ever.

    Attributes:
        config: The whole configuration.
        state_dir: Where state is kept.
        answers: Answers by method, in order; an exception is raised.
        calls: What was asked, oldest first.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        config: Mapping[str, Any] | None = None,
        answers: Mapping[str, Sequence[Answer]] | None = None,
    ) -> None:
        self.config = config or {}
        self.state_dir = state_dir
        self.answers = {name: list(each) for name, each in (answers or {}).items()}
        self.calls: list[AskedMethod] = []

    def call(
        self, method: str, params: Mapping[str, Any], *, timeout_s: float
    ) -> Mapping[str, Any]:
        """Note the call and return the next answer.

        Raises:
            Exception: As the answers say; `GatewayFault` with `unknown_method` where
                there is no answer at all.
        """
        self.calls.append(
            AskedMethod(method=method, params=dict(params), timeout_s=timeout_s)
        )
        answers = self.answers.get(method)
        if not answers:
            raise GatewayFault("unknown_method", f"Nobody answers {method}.")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer
