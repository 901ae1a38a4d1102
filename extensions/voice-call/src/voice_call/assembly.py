"""The plugin put together: the one place where settings become objects."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from voice_call.call.endpointing import rules_for
from voice_call.call.model import CallId, CallMode
from voice_call.call.policy import InboundPolicy, InboundRules, OutboundRules
from voice_call.call.setup import CallLimits
from voice_call.call.turns import TurnSettings
from voice_call.carrier_choice import choose_carrier
from voice_call.carriers.simulated import CalleeSpeech
from voice_call.clock import SystemClock
from voice_call.config import KEY_PATH
from voice_call.errors import InvalidNumber
from voice_call.front_door import FrontDoor, public_webhook_url
from voice_call.host import HostAgent
from voice_call.log import get_logger
from voice_call.media.vad import VoiceGateSettings
from voice_call.operations import CallOperations
from voice_call.phone_numbers import parse_e164
from voice_call.registry import (
    SPEECH_TO_TEXT,
    TEXT_TO_SPEECH,
    VOICE_DETECTORS,
    resolve,
)
from voice_call.runtime.ears import Hearing
from voice_call.runtime.journal import Journal
from voice_call.runtime.manager import CallManager, ManagerSettings
from voice_call.runtime.services import CallServices
from voice_call.runtime.ticker import Ticker
from voice_call.speech.base import Voice

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_call.clock import Clock
    from voice_call.config import VoiceCallConfig
    from voice_call.host import Host
    from voice_call.speech.base import SpeechToText, TextToSpeech, VoiceDetector

__all__ = ["VoiceCallRuntime"]

_log = get_logger(__name__)

_MOCK_FROM_NUMBER = "+15550000000"
_GOODBYE_S = 5.0
"""How long requests in progress may still take when the plugin stops."""
_GREETING = "Hello! How can I help you today?"


class VoiceCallRuntime:
    """Everything that runs while the plugin runs.

    Args:
        config: The settings.
        host: The hosting program, whose agents answer.
        clock: What time it is; the machine's own by default.

    Attributes:
        network: The simulated network, None for a real carrier.
    """

    def __init__(
        self, config: VoiceCallConfig, host: Host, *, clock: Clock | None = None
    ) -> None:
        """Take the settings; nothing is opened or loaded yet.

        Raises:
            ConfigError: An engine or carrier is not known.
        """
        self._config = config
        self._host = host
        self._clock = clock or SystemClock()
        speech, path = config.speech, f"{KEY_PATH}.speech"
        self._tts: TextToSpeech = resolve(
            TEXT_TO_SPEECH, speech.tts, key_path=f"{path}.tts"
        )()
        self._stt: SpeechToText = resolve(
            SPEECH_TO_TEXT, speech.stt, key_path=f"{path}.stt"
        )()
        self._detector: VoiceDetector = resolve(
            VOICE_DETECTORS, speech.vad, key_path=f"{path}.vad"
        )()
        chosen = choose_carrier(
            config,
            self._clock,
            callee_speech=CalleeSpeech(
                text_to_speech=self._tts,
                speech_to_text=self._stt,
                voice_detector=self._detector,
            ),
        )
        self._carrier, self.network = chosen.carrier, chosen.network
        self._door = FrontDoor(config, self._carrier, self._clock)
        self._ticker = Ticker(self._clock)
        self._journal: Journal | None = None
        self._manager: CallManager | None = None
        self._operations: CallOperations | None = None
        self._warming: asyncio.Task[None] | None = None

    # -- life --------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the journal, take up open calls, and warm the speech engines.

        Raises:
            JournalError: The journal cannot be used.
            PortTaken: Something else listens where webhooks are to be served.
        """
        self._journal = Journal.open(self._config.journal_path)
        services = self._services(self._journal)
        self._manager = CallManager(services, self._manager_settings())
        if self.network is not None:
            self.network.connect(self._manager)
        self._operations = CallOperations(
            self._manager,
            default_to=self._config.to_number,
            default_mode=CallMode(self._config.outbound.default_mode),
            network=self.network,
        )
        self._door.claim(self._manager)  # a taken port must not cost a call its life
        await self._manager.recover()
        await self._door.open()
        self._warming = asyncio.get_running_loop().create_task(self._warm_up())
        self._warming.add_done_callback(_note_failed_warm_up)

    async def _warm_up(self) -> None:
        if not self._carrier.capabilities.streams_audio:
            return  # the carrier speaks and understands by itself
        for engine in (self._tts, self._stt, self._detector):
            await engine.warm_up()
        _log.info("speech engines are ready")

    async def ready(self) -> CallOperations:
        """Return the operations once a call can be spoken on.

        Raises:
            SpeechError: An engine cannot be used; says which, and the remedy.
        """
        operations = self.operations
        if self._warming is not None:
            await asyncio.shield(self._warming)
        return operations

    @property
    def operations(self) -> CallOperations:
        """What can be asked about calls."""
        assert self._operations is not None, "start() comes first"
        return self._operations

    async def stop(self, limit_s: float) -> None:
        """Refuse new calls, let live ones end within `limit_s` seconds, release all."""
        if self._manager is not None:
            await self._manager.drain(min(limit_s, self._config.drain_seconds))
        if self._operations is not None:
            await self._operations.close()
        if self._warming is not None:
            await asyncio.gather(self._warming, return_exceptions=True)
        await self._door.close(_GOODBYE_S)
        await self._carrier.control.close()
        self._ticker.close()
        for engine in (self._detector, self._stt, self._tts):
            await engine.close()
        if self._journal is not None:
            await self._journal.close()

    # -- settings into objects ---------------------------------------------------------

    def _services(self, journal: Journal) -> CallServices:
        config = self._config
        return CallServices(
            clock=self._clock,
            journal=journal,
            carrier=self._carrier,
            agent=HostAgent(
                self._host,
                model=config.response_model,
                system_prompt=config.response_system_prompt,
            ),
            agent_timeout_s=config.response_timeout_ms / 1000,
            tts=self._tts,
            voice=Voice(language=config.language),
            hearing=Hearing(
                stt=self._stt,
                detector=self._detector,
                turns=_turn_settings(config),
                gate=VoiceGateSettings(),
                language=config.language,
            ),
            ticker=self._ticker,
            door=self._door.streams,
            webhook_url=public_webhook_url(config),
            records=_records_folder(config),
        )

    def _manager_settings(self) -> ManagerSettings:
        config = self._config
        return ManagerSettings(
            from_number=config.from_number or _MOCK_FROM_NUMBER,
            outbound=OutboundRules(max_calls=config.max_concurrent_calls),
            inbound=InboundRules(
                policy=InboundPolicy(config.inbound_policy),
                allow_from=tuple(config.allow_from),
                max_calls=config.max_inbound_calls,
            ),
            greeting=config.inbound_greeting or _GREETING,
            session_key=_session_key(config),
            has_streams=self._carrier.capabilities.streams_audio,
            limits=_limits(config),
        )


def _note_failed_warm_up(task: asyncio.Task[None]) -> None:
    """Say at once why no call will work; `ready` raises it to whoever wants one."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        _log.error("speech engines cannot be used", detail=str(fault))


def _records_folder(config: VoiceCallConfig) -> Path | None:
    if not config.recording.enabled:
        return None
    if config.recording.path is None:
        return config.store / "recordings"
    return Path(config.recording.path).expanduser()


def _limits(config: VoiceCallConfig) -> CallLimits:
    return CallLimits(
        ring_timeout_s=config.ring_timeout_ms / 1000,
        max_duration_s=float(config.max_duration_seconds),
        transcript_timeout_s=config.transcript_timeout_ms / 1000,
        notify_tail_s=float(config.outbound.notify_hangup_delay_sec),
        dead_air_s=float(config.dead_air_seconds),
    )


def _turn_settings(config: VoiceCallConfig) -> TurnSettings:
    turns = config.turns
    defaults = TurnSettings()
    backchannels = turns.barge_in.backchannels
    return TurnSettings(
        endpoint_s=turns.endpointing.silence_ms / 1000,
        dangling_endpoint_s=turns.endpointing.dangling_silence_ms / 1000,
        closed_endpoint_s=turns.endpointing.closed_answer_silence_ms / 1000,
        barge_in_enabled=turns.barge_in.enabled,
        barge_in_min_duration_s=turns.barge_in.min_duration_ms / 1000,
        barge_in_min_words=turns.barge_in.min_words,
        false_interruption_s=turns.barge_in.false_interruption_ms / 1000,
        text_rules=rules_for(config.language),
        backchannels=(
            defaults.backchannels if backchannels is None else frozenset(backchannels)
        ),
        # More than all words can never be the same, so nothing counts as an echo.
        echo_similarity=turns.echo.similarity if turns.echo.enabled else 2.0,
        echo_tail_s=turns.echo.tail_ms / 1000,
    )


def _session_key(config: VoiceCallConfig) -> Callable[[str, CallId], str]:
    scope = config.session_scope

    def key(number: str, call_id: CallId) -> str:
        match scope:
            case "main":
                return "main"
            case "per-call":
                return f"voice:call:{call_id}"
            case "per-phone":
                try:
                    return f"voice:{parse_e164(number).lstrip('+')}"
                except InvalidNumber:
                    # Withheld, or a word such as `anonymous`: two callers who hide
                    # their numbers are not one person.
                    return f"voice:call:{call_id}"
            case _:
                assert_never(scope)

    return key
