"""The spoken-output contract: what of an agent's reply is spoken. PURE.

An agent may answer in plain text or as JSON, `{"spoken": "…"}`, and models add to that
code fences, announcements, several objects, reasoning and markup. Only words that are
meant for the caller come out, and they come out while the reply is still being written.
An empty `spoken` means silence.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from voice_call.speech.spoken_json import SpokenObject
from voice_call.speech.spoken_prose import Prose

__all__ = ["SpokenParser"]

_MARK = re.compile(r"```|~~~|[{}<`~\"']")
_BARE_KEY = re.compile(r"([\"'])spoken\1\s{0,3}:\s{0,3}([\"'])", re.IGNORECASE)
_LONGEST_BARE_KEY_CHARS = 16
_LONGEST_INFO_CHARS = 40
_FENCE_INFO = re.compile(r"[^\n`~{\[]*")
_JSON_FENCES = frozenset({"", "json", "json5", "jsonc", "javascript", "js"})
_LONGEST_TAG_CHARS = 200
_TAG = re.compile(
    r"<(?P<url>(?:[a-z]+://|www\.)[^<>\s]*)>"
    r"|<(?P<close>/?)(?P<name>[a-z!?|][\w:.|-]*)[^<>]*>",
    re.IGNORECASE,
)
_HIDDEN_TAG = re.compile(
    r"(?:\w+:)?(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|"
    r"antthinking|tool_call|tool_use|function_calls?|script|style)\Z",
    re.IGNORECASE,
)
_BREAKING_TAG = re.compile(r"(?:br|p|div|li|ul|ol|tr|h[1-6])\Z", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_DEEPEST = 3


class _Mode(Enum):
    PROSE = auto()
    OBJECT = auto()
    FENCE_INFO = auto()
    FENCE = auto()
    HIDDEN = auto()


class SpokenParser:
    """Reads one reply, portion by portion.

    The result does not depend on how the reply is cut into portions, and no input makes
    it raise.
    """

    def __init__(self, *, _depth: int = 0) -> None:
        self._depth = _depth
        self._buffer = ""
        self._mode = _Mode.PROSE
        self._is_final = False
        self._fence = ""
        self._is_json_fence = False
        self._prose = Prose()
        self._object: SpokenObject | None = None
        self._inner: SpokenParser | None = None
        self._has_spoken_key = False
        self._released: list[str] = []
        self._ends_open = False
        self._has_gap = False
        self._has_words = False

    @property
    def chose_silence(self) -> bool:
        """Whether the agent said, so far, that nothing is to be spoken."""
        return self._has_spoken_key and not self._has_words

    def feed(self, delta: str) -> str:
        """Take the next portion of the reply; return the words it releases."""
        self._buffer += delta
        self._advance()
        return self._take_released()

    def finish(self) -> str:
        """Return the words that are left after the last portion."""
        self._is_final = True
        self._advance()
        if self._object is not None:
            self._object.finish()
            self._object = None
        if not self._has_spoken_key:
            self._emit(self._prose.finish())
        return self._take_released()

    # -- the structure of the reply ----------------------------------------------------

    def _advance(self) -> None:
        """Consume as much of the buffer as can be decided."""
        steps = {
            _Mode.PROSE: self._read_prose,
            _Mode.OBJECT: self._read_object,
            _Mode.FENCE_INFO: self._read_fence_info,
            _Mode.FENCE: self._read_fence,
            _Mode.HIDDEN: self._read_hidden,
        }
        position = 0
        while position < len(self._buffer):
            after = steps[self._mode](position)
            if after is None:  # what comes next decides
                break
            position = after
        self._buffer = self._buffer[position:]

    def _read_prose(self, position: int) -> int | None:
        """Hand on plain text up to the next mark, or act on the mark."""
        match = _MARK.search(self._buffer, position)
        if match is None:
            self._take_prose(self._buffer[position:])
            return len(self._buffer)
        if match.start() > position:
            self._take_prose(self._buffer[position : match.start()])
            return match.start()
        mark = match[0]
        if mark in ("```", "~~~"):
            self._fence, self._mode = mark, _Mode.FENCE_INFO
            return match.end()
        if mark == "{":
            self._object, self._mode = SpokenObject(self), _Mode.OBJECT
            return match.end()
        if mark == "<":
            return self._read_tag(position)
        if mark in "\"'":
            return self._read_quote(position)
        return self._read_tick(position)

    def _read_tick(self, position: int) -> int | None:
        """Wait where one or two ticks at the end may become a fence."""
        ahead = self._buffer[position : position + 3]
        may_grow = len(ahead) < 3 and ahead == ahead[0] * len(ahead)  # noqa: PLR2004 - a fence has three
        if may_grow and ahead[0] in "`~" and not self._is_final:
            return None
        self._take_prose(ahead[0])
        return position + 1

    def _read_quote(self, position: int) -> int | None:
        """Begin a string where a model wrote `"spoken": "…` without the braces."""
        ahead = self._buffer[position : position + _LONGEST_BARE_KEY_CHARS]
        match = _BARE_KEY.match(ahead)
        if match:
            self._object = SpokenObject(self, is_bare=True, quote=match[2])
            self._mode = _Mode.OBJECT
            return position + match.end()
        if _may_become_key(ahead) and not self._is_final:
            return None
        self._take_prose(ahead[0])
        return position + 1

    def _read_tag(self, position: int) -> int | None:
        """Drop a tag; hide what a reasoning tag encloses."""
        match = _TAG.match(self._buffer, position, position + _LONGEST_TAG_CHARS)
        if match is None:
            ahead = self._buffer[position + 1 : position + _LONGEST_TAG_CHARS]
            may_grow = not ahead or ahead[0].isalpha() or ahead[0] in "/!?|"
            is_open = position + _LONGEST_TAG_CHARS > len(self._buffer)
            if may_grow and is_open and not re.search("[<>]", ahead):
                return len(self._buffer) if self._is_final and ahead else None
            return position + 1
        if match["url"]:
            self._take_prose(match["url"] + " ")
        elif _HIDDEN_TAG.match(match["name"]):
            if match["close"]:  # its opening tag was left out: all before was reasoning
                self._prose.drop_held()
            elif not match[0].endswith("/>"):
                self._mode = _Mode.HIDDEN
        elif _BREAKING_TAG.match(match["name"]):
            self._take_prose("\n")
        return match.end()

    def _read_hidden(self, position: int) -> int | None:
        """Drop everything up to the closing tag of reasoning."""
        start = self._buffer.find("</", position)
        if start < 0:
            end = len(self._buffer) - self._buffer.endswith("<")
            return end if end > position else None
        match = _TAG.match(self._buffer, start, start + _LONGEST_TAG_CHARS)
        if match:
            if _HIDDEN_TAG.match(match["name"]):
                self._mode = _Mode.PROSE
                self._has_gap = True
            return match.end()
        if start + _LONGEST_TAG_CHARS > len(self._buffer) and not self._is_final:
            return start if start > position else None
        return start + 2

    def _read_fence_info(self, position: int) -> int | None:
        """Read the language of a fence, which ends where its content begins."""
        longest = position + _LONGEST_INFO_CHARS
        match = _FENCE_INFO.match(self._buffer, position, longest)
        end = match.end() if match else position
        if end == len(self._buffer) and end < longest and not self._is_final:
            return None
        info = self._buffer[position:end].strip().lower()
        self._is_json_fence = info in _JSON_FENCES
        self._mode = _Mode.FENCE
        return end

    def _read_fence(self, position: int) -> int | None:
        """Drop what is fenced, but for objects in a fence that may hold JSON."""
        close = self._buffer.find(self._fence, position)
        begin = self._buffer.find("{", position) if self._is_json_fence else -1
        if begin >= 0 and (close < 0 or begin < close):
            self._object, self._mode = SpokenObject(self), _Mode.OBJECT
            return begin + 1
        if close >= 0:
            self._fence, self._mode = "", _Mode.PROSE
            self._has_gap = True
            return close + 3
        if self._is_final:
            return len(self._buffer)
        ticks = len(self._buffer) - len(self._buffer.rstrip(self._fence[0]))
        after = max(position, len(self._buffer) - min(ticks, 2))
        return after if after > position else None

    def _read_object(self, position: int) -> int:
        """Scan an object to its end, or to the end of what has come."""
        scanner = self._object
        assert scanner is not None
        position = scanner.feed(self._buffer, position)
        if scanner.is_over:
            self._object = None
            self._has_gap = True
            self._mode = _Mode.FENCE if self._fence else _Mode.PROSE
        return position

    # -- what is spoken ----------------------------------------------------------------

    def begin_text(self) -> None:
        """Take the beginning of a `spoken` string; called by the scanner."""
        self._prose.drop_held()
        self._has_spoken_key = True
        self._has_gap = True
        if self._depth < _DEEPEST:
            self._inner = SpokenParser(_depth=self._depth + 1)

    def take_text(self, text: str) -> None:
        """Take some of a `spoken` string; called by the scanner."""
        if self._inner is not None:
            self._emit(self._inner.feed(text))

    def end_text(self) -> None:
        """Take the end of a `spoken` string; called by the scanner."""
        if self._inner is not None:
            self._emit(self._inner.finish())
            self._inner = None

    def _take_prose(self, text: str) -> None:
        """Speak plain text, unless JSON has told already what to speak."""
        if not self._has_spoken_key:
            self._emit(self._prose.feed(text))

    def _emit(self, text: str) -> None:
        """Release text; white space neither leads, nor doubles, nor is lost."""
        if self._has_gap:
            text = f" {text}"
            self._has_gap = False
        text = _SPACES.sub(" ", text)
        if not self._ends_open:
            text = text.lstrip()
        if text:
            self._released.append(text)
            self._ends_open = not text[-1].isspace()
            self._has_words = self._has_words or not text.isspace()

    def _take_released(self) -> str:
        released = "".join(self._released)
        self._released.clear()
        return released


def _may_become_key(text: str) -> bool:
    """Return whether more text could make this `"spoken": "`."""
    if len(text) >= _LONGEST_BARE_KEY_CHARS:
        return False
    key = text[1:7].lower()
    return (
        "spoken".startswith(key)
        and bool(
            len(text) <= 7  # noqa: PLR2004 - the quote and the word
            or re.fullmatch(r"[\"']\s{0,3}(?::\s{0,3})?", text[7:])
        )
    )
