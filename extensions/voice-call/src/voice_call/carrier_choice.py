"""Which carrier the configuration means, made ready to carry calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_call.carriers.simulated import SimulatedNetwork, SimulatedSettings
from voice_call.config import KEY_PATH, ConfigProblems, validate_provider
from voice_call.errors import ConfigError

if TYPE_CHECKING:
    from voice_call.carriers.base import Carrier
    from voice_call.carriers.simulated import CalleeSpeech
    from voice_call.clock import Clock
    from voice_call.config import VoiceCallConfig

__all__ = ["ChosenCarrier", "choose_carrier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCarrier:
    """A carrier, and the network behind it where that is simulated.

    Attributes:
        carrier: What the runtime is given.
        network: The simulated network, None for a real carrier.
    """

    carrier: Carrier
    network: SimulatedNetwork | None = None


def choose_carrier(
    config: VoiceCallConfig, clock: Clock, *, callee_speech: CalleeSpeech
) -> ChosenCarrier:
    """Return the carrier that `provider` names.

    Raises:
        ConfigError: It lacks credentials, or this version does not know it.
    """
    if problems := validate_provider(config):
        raise ConfigProblems(problems)
    if config.provider in (None, "mock"):
        settings = SimulatedSettings.from_config(
            config.mock, key_path=f"{KEY_PATH}.mock"
        )
        network = SimulatedNetwork(
            clock, settings=settings, callee_speech=callee_speech
        )
        return ChosenCarrier(carrier=network.carrier, network=network)
    if config.provider == "twilio":
        return ChosenCarrier(carrier=_twilio(config))
    raise ConfigError(
        f"{config.provider} is not carried by this version; choose twilio or mock.",
        key_path=f"{KEY_PATH}.provider",
    )


def _twilio(config: VoiceCallConfig) -> Carrier:
    # Imported when chosen: its HTTP client costs start-up time that nobody else owes.
    from voice_call.carriers.twilio import make_carrier  # noqa: PLC0415

    twilio = config.twilio
    assert twilio.account_sid is not None
    assert twilio.auth_token is not None
    return make_carrier(
        account_sid=twilio.account_sid,
        auth_token=twilio.auth_token.get_secret_value(),
        region=twilio.region,
        api_base_url=twilio.api_base_url,
        webhook_url=config.public_url,
        has_streams=config.streaming.enabled,
        language=config.language,
    )
