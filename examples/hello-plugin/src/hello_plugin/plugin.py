"""The plugin that the entry point `openclaw.plugins` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HelloPlugin", "plugin"]


class NameMissing(Exception):
    """Raised when nobody is named; `code` and `is_request_fault` reach the client."""

    code = "name_missing"
    is_request_fault = True


class HelloPlugin:
    """Declares in `register` what it offers; works between `start` and `stop`."""

    id = "hello"
    name = "Hello"

    def register(self, api: Any) -> None:
        """Offer a tool, a method and a service."""
        greeter = Greeter(api)
        api.register_method("hello.greet", greeter.greet, scope="operator.write")
        api.register_tool(
            "hello",
            "Greet a person by name.",
            {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            },
            greeter.greet,
        )
        api.register_service(
            "hello", greeter.start, greeter.stop, reload=greeter.reload
        )


class Greeter:
    """The work itself, within one Gateway."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._greeting = "Hello"
        self._end = "."
        self._greeted = 0

    async def start(self) -> None:
        """Take the settings; return once ready."""
        await self.reload(self._api.config)

    async def reload(self, config: Mapping[str, Any]) -> None:
        """Take new settings, or raise and keep the old ones."""
        greeting = config.get("greeting", "Hello")
        end = config.get("punctuation", ".")
        if not isinstance(greeting, str) or not isinstance(end, str):
            raise TypeError(
                "plugins.entries.hello.config: greeting and punctuation are texts."
            )
        self._greeting, self._end = greeting, end

    async def stop(self, limit_s: float) -> None:
        """Say goodbye; what takes longer than `limit_s` seconds is cut off."""
        del limit_s
        self._api.broadcast("hello.goodbye", {"greeted": self._greeted})

    async def greet(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Greet one person."""
        name = params.get("name")
        if not isinstance(name, str) or not name:
            raise NameMissing("Say whom to greet: name.")
        self._greeted += 1
        text = f"{self._greeting}, {name}{self._end}"
        self._api.broadcast("hello.greeted", {"text": text})
        return {"text": text, "greeted": self._greeted}


plugin = HelloPlugin()
