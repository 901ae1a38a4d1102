"""The carrier `mock`: a telephone network inside the process.

`network` is the door. `numbers`, `personas` and `settings` are data, `line`, `sound`
and `webhooks` pure; `call` lives one call with its `callee` (whose `ear` listens), its
`media` line and the `courier` that brings its notices.
"""

from voice_call.carriers.simulated.ear import CalleeSpeech, HeardUtterance
from voice_call.carriers.simulated.network import SimulatedNetwork
from voice_call.carriers.simulated.numbers import Behaviour
from voice_call.carriers.simulated.personas import DEMO_CALLEE, Persona
from voice_call.carriers.simulated.settings import CalleePlan, SimulatedSettings

__all__ = [
    "DEMO_CALLEE",
    "Behaviour",
    "CalleePlan",
    "CalleeSpeech",
    "HeardUtterance",
    "Persona",
    "SimulatedNetwork",
    "SimulatedSettings",
]
