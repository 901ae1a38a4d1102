"""The settings of turn-taking, each with the reason for its default. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from voice_call.call.endpointing import (
    BACKCHANNELS,
    ENGLISH,
    TextRules,
    TurnEnding,
    judge_ending,
)

__all__ = ["TurnSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """How patient the agent is, and how easily it is interrupted.

    Attributes:
        endpoint_s: Silence that ends a turn, in seconds from the acoustic end. Speakers
            pause for 0.2–0.4 s within a sentence; half a second feels attentive.
        dangling_endpoint_s: The same after a dangling word or inside a number, where
            people think or look something up.
        closed_endpoint_s: The same after a complete answer such as "no, thank you".
        final_timeout_s: How long to wait for the final transcript of an ended segment
            before going on with what is known. Cloud recognisers answer in under 2 s.
        barge_in_enabled: False lets the agent finish; what was said meanwhile counts
            afterwards.
        barge_in_min_duration_s: Voice over the agent's speech that is shorter does
            nothing. A cough lasts 0.2 s, the shortest "stop" about as long as this.
        barge_in_min_words: Words, backchannels aside, that interrupt. One is enough
            for "stop".
        barge_in_confirm_s: Voice this long without known words pauses the agent. Long
            enough for a recogniser's first words, short enough to feel heard.
        interim_every_s: How often words are asked for while voice goes on over the
            agent's speech.
        false_interruption_s: Silence after which a paused agent goes on; also the
            longest pause for voice without any words.
        backchannels: What a listener says without wanting the floor, in lower case.
        echo_similarity: Share of a transcript's words, 0..1, found in the agent's last
            sentences that makes it an echo. An echo has no words of its own, but about
            a quarter may be misheard; a caller who takes up the agent's words to
            correct them adds more than that. More than 1 switches the test off.
        echo_tail_s: How long after its end the agent's speech may still come back: two
            network delays and the other side's loudspeaker.
        text_rules: What the words say about the end of a turn.
    """

    endpoint_s: float = 0.5
    dangling_endpoint_s: float = 1.2
    closed_endpoint_s: float = 0.3
    final_timeout_s: float = 5.0
    barge_in_enabled: bool = True
    barge_in_min_duration_s: float = 0.3
    barge_in_min_words: int = 1
    barge_in_confirm_s: float = 0.7
    interim_every_s: float = 0.4
    false_interruption_s: float = 1.5
    backchannels: frozenset[str] = BACKCHANNELS
    echo_similarity: float = 0.7
    echo_tail_s: float = 1.0
    text_rules: TextRules = ENGLISH

    def endpoint_after(self, text: str) -> float:
        """Return the silence, in seconds, that ends a turn with these words."""
        match judge_ending(text, self.text_rules):
            case TurnEnding.PLAIN:
                return self.endpoint_s
            case TurnEnding.DANGLING:
                return self.dangling_endpoint_s
            case TurnEnding.CLOSED:
                return self.closed_endpoint_s
            case unreachable:
                assert_never(unreachable)
