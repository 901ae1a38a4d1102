"""Reads `{"spoken": "…"}` while it is being written, forgivingly. PURE.

Models write JSON with literal line breaks, unescaped quotes, single quotes, bare keys, or
stop half-way. What can be understood as the string of a `spoken` key is given out at
once; everything else about the object is dropped.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Protocol

__all__ = ["SpokenObject", "SpokenText"]

_ORDINARY = re.compile(r"[^\\\"']+")
_QUOTES = "\"'"
_ESCAPES = {"n": "\n", "r": "\n", "t": " ", "b": "", "f": " "}
_HEX_DIGITS = 4
_KEY = "spoken"


class SpokenText(Protocol):
    """Where the text of `spoken` goes."""

    def begin_text(self) -> None:
        """A `spoken` string begins."""
        ...

    def take_text(self, text: str) -> None:
        """Some more of it."""
        ...

    def end_text(self) -> None:
        """It is over."""
        ...


class _State(Enum):
    KEY = auto()  # before a key
    QUOTED_KEY = auto()
    BARE_KEY = auto()
    COLON = auto()
    VALUE = auto()  # before a value
    STRING = auto()
    ESCAPE = auto()
    HEX = auto()
    QUOTE = auto()  # after a quote that may close the string
    COMMA = auto()  # after a comma behind such a quote
    SCALAR = auto()
    NEXT = auto()  # after a value
    OVER = auto()


class SpokenObject:
    """Scans one object, one character at a time.

    Args:
        text: Where the text of `spoken` goes.
        is_bare: The scan begins inside the string of a `spoken` key without braces.
        quote: What closes that string.
    """

    def __init__(
        self, text: SpokenText, *, is_bare: bool = False, quote: str = '"'
    ) -> None:
        self._text = text
        self._stack = [] if is_bare else ["{"]
        self._quote = quote
        self._key = _KEY if is_bare else ""
        self._pending = ""
        self._key_is_bare = False
        self._high_surrogate = 0
        self._is_rejected = False
        self._state = _State.KEY
        self._steps = {
            _State.KEY: self._before_key,
            _State.QUOTED_KEY: self._in_quoted_key,
            _State.BARE_KEY: self._in_bare_key,
            _State.COLON: self._before_colon,
            _State.VALUE: self._before_value,
            _State.STRING: self._in_string,
            _State.ESCAPE: self._in_escape,
            _State.HEX: self._in_hex,
            _State.QUOTE: self._after_quote,
            _State.COMMA: self._after_comma,
            _State.SCALAR: self._in_scalar,
            _State.NEXT: self._after_value,
        }
        if is_bare:
            self._open_string(quote)

    @property
    def is_over(self) -> bool:
        """Whether the object has ended, or has turned out not to be one."""
        return self._state is _State.OVER

    def feed(self, text: str, start: int = 0) -> int:
        """Take text from `start` on; return where the object is over, or the text."""
        position = start
        while position < len(text) and not self.is_over:
            in_string = self._state is _State.STRING
            run = _ORDINARY.match(text, position) if in_string else None
            if run:
                self._take(run[0])
                position = run.end()
            else:
                self._step(text[position])
                position += not self._is_rejected
        return position

    def finish(self) -> None:
        """Take the end of the reply, wherever it comes."""
        in_string = (_State.STRING, _State.ESCAPE, _State.HEX)
        if self._state in (*in_string, _State.QUOTE, _State.COMMA):
            self._close_string()
        self._state = _State.OVER

    def _step(self, char: str) -> None:
        self._steps[self._state](char)

    def _before_key(self, char: str) -> None:
        if char in _QUOTES:
            self._key, self._quote, self._state = "", char, _State.QUOTED_KEY
            self._key_is_bare = False
        elif char.isalpha() or char == "_":
            self._key, self._state = char, _State.BARE_KEY
            self._key_is_bare = True
        elif not char.isspace() and char != ",":
            self._end_value(char)

    def _in_quoted_key(self, char: str) -> None:
        if char == self._quote:
            self._state = _State.COLON
        else:
            self._key += char

    def _in_bare_key(self, char: str) -> None:
        if char.isalnum() or char == "_":
            self._key += char
        else:
            self._state = _State.COLON
            self._before_colon(char)

    def _before_colon(self, char: str) -> None:
        if char == ":":
            self._state = _State.VALUE
        elif not char.isspace():
            self._reject()

    def _before_value(self, char: str) -> None:
        if char in _QUOTES:
            self._open_string(char)
        elif char in "{[":
            self._open_bracket(char)
        elif char in "}],":
            self._end_value(char)
        elif not char.isspace():
            self._state = _State.SCALAR

    def _in_scalar(self, char: str) -> None:
        if char in "}],":
            self._end_value(char)

    def _after_value(self, char: str) -> None:
        if not char.isspace():
            self._end_value(char)

    def _open_bracket(self, char: str) -> None:
        self._stack.append(char)
        self._key = ""
        self._state = _State.KEY if char == "{" else _State.VALUE

    def _end_value(self, char: str) -> None:
        """Go on behind a value: with the next one, or out of the bracket."""
        if char == "," and self._stack:
            self._state = _State.KEY if self._stack[-1] == "{" else _State.VALUE
        elif char in "}]" and self._stack:
            self._stack.pop()
            self._state = _State.NEXT if self._stack else _State.OVER
        else:
            self._reject()

    def _reject(self) -> None:
        """Give up: this is no object, and the character belongs to what follows."""
        self._state = _State.OVER
        self._is_rejected = True

    # -- strings -----------------------------------------------------------------------

    @property
    def _is_spoken(self) -> bool:
        return self._key.strip().lower() == _KEY

    def _open_string(self, quote: str) -> None:
        self._quote, self._state = quote, _State.STRING
        if self._is_spoken:
            self._text.begin_text()

    def _close_string(self) -> None:
        self._high_surrogate = 0
        if self._is_spoken:
            self._text.end_text()
        self._state = _State.NEXT if self._stack else _State.OVER

    def _take(self, text: str) -> None:
        self._high_surrogate = 0
        if self._is_spoken:
            self._text.take_text(text)

    def _in_string(self, char: str) -> None:
        if char == "\\":
            self._state = _State.ESCAPE
        elif char == self._quote:
            self._pending, self._state = char, _State.QUOTE
        else:
            self._take(char)

    def _in_escape(self, char: str) -> None:
        if char == "u":
            self._pending, self._state = "", _State.HEX
            return
        self._state = _State.STRING
        self._take(_ESCAPES.get(char, char))

    def _in_hex(self, char: str) -> None:
        if char not in "0123456789abcdefABCDEF":
            self._state = _State.STRING
            self._in_string(char)
            return
        self._pending += char
        if len(self._pending) == _HEX_DIGITS:
            self._state = _State.STRING
            self._take_code(int(self._pending, 16))

    def _take_code(self, code: int) -> None:
        high, self._high_surrogate = self._high_surrogate, 0
        if 0xD800 <= code < 0xDC00:  # noqa: PLR2004 - Unicode's high surrogates
            self._high_surrogate = code
        elif 0xDC00 <= code < 0xE000:  # noqa: PLR2004 - and the low ones
            if high:
                self._take(chr(0x10000 + ((high - 0xD800) << 10) + code - 0xDC00))
        else:
            self._take(chr(code))

    def _after_quote(self, char: str) -> None:
        """Tell a closing quote from one that the model forgot to escape."""
        if char in "}]`" or (not self._stack and char == "\n"):
            self._close_string()
            if self._stack:
                self._after_value(char)
        elif char == "," and self._stack[-1:] == ["["]:
            self._close_string()
            self._after_value(char)
        elif char == ",":
            self._pending, self._state = self._pending + char, _State.COMMA
        elif char.isspace():
            self._pending += char
        else:
            self._reopen_string(char)

    def _after_comma(self, char: str) -> None:
        is_bare_key = self._key_is_bare and (char.isalpha() or char == "_")
        if char in _QUOTES or char in "}]" or is_bare_key:
            self._close_string()
            self._after_value(",")
            if not self.is_over:
                self._step(char)
        elif char.isspace():
            self._pending += char
        else:
            self._reopen_string(char)

    def _reopen_string(self, char: str) -> None:
        pending, self._pending, self._state = self._pending, "", _State.STRING
        self._take(pending)
        self._in_string(char)
