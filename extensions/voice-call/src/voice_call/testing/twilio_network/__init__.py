"""A Twilio network that runs on this machine: REST, signed webhooks, media streams.

    network = TwilioNetwork("AC…", "secret", tunnels=[Tunnel(public=…, local=…)])
    base_url = await network.start()      # instead of https://api.twilio.com
    call = network.call_in("+15550100001", "+15550100002", "https://…/voice/webhook")
    await network.wait_ended(call)
    assert call.heard == "…"

Written from Twilio's documents alone, so that it can judge any implementation.

    network     the object that a test holds
    rest        the REST door            orders, resources: its forms and bodies
    exchange    the life of calls        phone_call: one call, and the test's end of it
    script      executes TwiML           twiml, gather
    webhooks    signs and delivers       signature, parameters, tunnel
    stream      one media stream         stream_messages, playout, sockets; line: the pace
    faults      what goes wrong          callees: who picks up      records: what is kept
"""

from __future__ import annotations

from voice_call.testing.twilio_network.callees import (
    AudioEnd,
    Behaviour,
    Callee,
    EchoEnd,
    Keys,
    LineEnd,
    Nothing,
    SilentEnd,
    Speech,
)
from voice_call.testing.twilio_network.faults import (
    RestFault,
    RestFaultKind,
    WebhookFault,
)
from voice_call.testing.twilio_network.network import TwilioNetwork
from voice_call.testing.twilio_network.orders import (
    Application,
    Instructions,
    StatusOrder,
)
from voice_call.testing.twilio_network.phone_call import PhoneCall
from voice_call.testing.twilio_network.records import (
    CallStatus,
    HeardText,
    NetworkError,
    RestRequest,
    WebhookDelivery,
    WebhookKind,
)
from voice_call.testing.twilio_network.stream import MediaStream
from voice_call.testing.twilio_network.tunnel import Tunnel
from voice_call.testing.twilio_network.wiring import Timing

__all__ = [
    "Application",
    "AudioEnd",
    "Behaviour",
    "CallStatus",
    "Callee",
    "EchoEnd",
    "HeardText",
    "Instructions",
    "Keys",
    "LineEnd",
    "MediaStream",
    "NetworkError",
    "Nothing",
    "PhoneCall",
    "RestFault",
    "RestFaultKind",
    "RestRequest",
    "SilentEnd",
    "Speech",
    "StatusOrder",
    "Timing",
    "Tunnel",
    "TwilioNetwork",
    "WebhookDelivery",
    "WebhookFault",
    "WebhookKind",
]
