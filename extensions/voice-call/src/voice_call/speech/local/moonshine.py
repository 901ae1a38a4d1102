"""Moonshine tiny-en on plain onnxruntime: audio in, words out.

A decoder of our own, because the model's package brings a native library three times as
slow as this, and sound cards. The model is an encoder and an autoregressive decoder
whose graph takes a key-value cache (Moonshine AI, MIT licence).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voice_call.media.audio import SAMPLE_RATE_HZ
from voice_call.speech.local.models import (
    MOONSHINE_DECODER,
    MOONSHINE_ENCODER,
    MOONSHINE_TOKENIZER,
    load_library,
    open_session,
    read_model,
)
from voice_call.speech.local.telephone import from_telephone, resample
from voice_call.speech.local.workers import Shared

if TYPE_CHECKING:
    from voice_call.speech.local.telephone import Samples

__all__ = ["NOTHING", "Heard", "hear", "load_decoder", "parse_tokenizer"]

_MODEL_RATE_HZ = 16_000
_START, _END = 1, 2
_FIRST_WORD_PIECE = 3
_WORD_START = "\u2581".encode()
_TOKENS_PER_S = 6.5
"""More than anybody speaks; guards against a decoder that repeats itself."""

# Tight cuts are misheard three times as often as padded ones.
_LEAD = bytes([0xFF]) * (SAMPLE_RATE_HZ // 10)
_TRAIL = bytes([0xFF]) * (SAMPLE_RATE_HZ * 3 // 10)

_LEAST_MEAN_LOG_PROB = -0.7
"""On silence and noise the model says "You" or notes, with -0.8 and less; words that
were spoken, even misheard, have -0.6 and more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the model made of a stretch of audio.

    Attributes:
        text: The words, empty where the model only guessed.
        mean_log_prob: Mean natural logarithm of the words' probabilities, at most 0.
        token_count: How many word pieces it has.
    """

    text: str
    mean_log_prob: float
    token_count: int

    @property
    def confidence(self) -> float:
        """The words' mean probability, 0..1."""
        return math.exp(min(0.0, self.mean_log_prob))


NOTHING = Heard(text="", mean_log_prob=0.0, token_count=0)


def hear(audio: bytes) -> Heard:
    """Return the words in µ-law audio of up to about 15 s. Blocks; call it in a pool.

    Raises:
        SpeechError: The engine is not installed, or is damaged.
    """
    if not audio:
        return NOTHING
    samples = from_telephone(_LEAD + audio + _TRAIL)
    samples = resample(samples, from_hz=SAMPLE_RATE_HZ, to_hz=_MODEL_RATE_HZ)
    heard = _DECODER.get().decode(samples)
    is_guess = heard.mean_log_prob < _LEAST_MEAN_LOG_PROB
    return NOTHING if is_guess or not any(map(str.isalnum, heard.text)) else heard


def load_decoder() -> None:
    """Load the model now, so that the first utterance does not wait. Blocks.

    Raises:
        SpeechError: The engine is not installed, or is damaged.
    """
    _DECODER.get()
    hear(_TRAIL)


def parse_tokenizer(content: bytes) -> list[bytes]:
    """Return the word pieces of a tokenizer file: a length, then so many bytes, each.

    A length of 128 and more takes two bytes, the lower seven bits first.
    """
    pieces = []
    position = 0
    while position < len(content):
        length = content[position]
        position += 1
        if length >= 128:  # noqa: PLR2004 - the continuation bit
            length += content[position] * 128 - 128
            position += 1
        pieces.append(content[position : position + length])
        position += length
    return pieces


class _Decoder:
    """The loaded model; safe to use from several threads at once."""

    def __init__(self) -> None:
        self._np: Any = load_library("numpy")
        self._encoder = open_session(MOONSHINE_ENCODER)
        self._decoder = open_session(MOONSHINE_DECODER)
        self._pieces = parse_tokenizer(read_model(MOONSHINE_TOKENIZER))
        inputs = self._decoder.get_inputs()
        self._caches = [item for item in inputs if item.name.startswith("past")]
        self._outputs = [item.name for item in self._decoder.get_outputs()]
        encoder_inputs = {item.name for item in self._encoder.get_inputs()}
        self._encoder_takes_mask = "attention_mask" in encoder_inputs
        self._takes_mask = "encoder_attention_mask" in {item.name for item in inputs}

    def decode(self, samples: Samples) -> Heard:
        """Return the most probable words, one at a time."""
        fixed = self._encode(samples)
        cache = {
            item.name: self._np.zeros(
                (1, item.shape[1], 0, item.shape[3]), self._np.float32
            )
            for item in self._caches
        }
        limit = max(4, int(len(samples) / _MODEL_RATE_HZ * _TOKENS_PER_S) + 1)
        tokens: list[int] = []
        log_prob = 0.0
        token = _START
        while len(tokens) < limit:
            logits, cache = self._step(token, fixed, cache, is_first=not tokens)
            token = int(logits.argmax())
            if token == _END:
                break
            tokens.append(token)
            log_prob -= float(self._np.log(self._np.exp(logits - logits.max()).sum()))
        return Heard(
            text=self._text(tokens),
            mean_log_prob=log_prob / max(1, len(tokens)),
            token_count=len(tokens),
        )

    def _encode(self, samples: Samples) -> dict[str, Any]:
        """Return the decoder's inputs that stay the same for every word."""
        batch = samples[None]
        # One entry a sample, for both graphs: the decoder's own strides over it by 384.
        mask = self._np.ones(batch.shape, self._np.int64)
        inputs = {"input_values": batch}
        if self._encoder_takes_mask:
            inputs["attention_mask"] = mask
        fixed = {"encoder_hidden_states": self._encoder.run(None, inputs)[0]}
        if self._takes_mask:
            fixed["encoder_attention_mask"] = mask
        return fixed

    def _step(
        self,
        token: int,
        fixed: dict[str, Any],
        cache: dict[str, Any],
        *,
        is_first: bool,
    ) -> tuple[Any, dict[str, Any]]:
        """Return the logits of the next word piece, and the cache to go on with."""
        inputs = {
            **fixed,
            **cache,
            "input_ids": self._np.array([[token]], self._np.int64),
            "use_cache_branch": self._np.array([not is_first]),
        }
        outputs = self._decoder.run(None, inputs)
        named = dict(zip(self._outputs, outputs, strict=True))
        # The cache of the encoder's side is computed in the first step only.
        grown = {
            name: named[name.replace("past_key_values", "present")]
            if is_first or "decoder" in name
            else old
            for name, old in cache.items()
        }
        return named["logits"][0, -1], grown

    def _text(self, tokens: list[int]) -> str:
        pieces = (self._pieces[token] for token in tokens if token >= _FIRST_WORD_PIECE)
        joined = b"".join(pieces).replace(_WORD_START, b" ")
        return joined.decode("utf-8", "replace").strip()


_DECODER = Shared(_Decoder)
