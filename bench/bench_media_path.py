"""What the media path of a call costs, and how many calls one core can pace.

1. CPU time of one pair of 20 ms frames, one in and one out, without engines and without
   sockets: typed decoding of Twilio's message, energy gate, voice gate, playout, and
   encoding. The naive baseline of the same run parses JSON and base64 by the standard
   library, takes the level by `audioop` where it exists, and sends one message a frame;
   it has neither gates nor pacing.
2. Calls on one core, in real time: every call gets 50 frames a second and speaks all the
   time through the shared ticker into an in-process link. Pacing jitter is by how much
   the time between two sendings of a call differs from the audio sent by the first. A
   call count passes while p99 is below 20 ms.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
import warnings
from binascii import b2a_base64

import msgspec
from bench_support import cpu_us_per_run, percentile, pin, settle

from voice_call.clock import SystemClock
from voice_call.media.audio import SendAudio
from voice_call.media.g711 import decode_ulaw, encode_ulaw, mean_level
from voice_call.media.playout import Playout
from voice_call.media.vad import EnergyGate, VoiceGate
from voice_call.runtime.ticker import Ticker

CALLS = (100, 300, 500, 700, 900)
STEP_S = 7.0
WARM_UP_S = 1.0
JITTER_LIMIT_S = 0.02

STREAM_ID = "MZ" + "0" * 32
SPEECH = encode_ulaw(
    b"".join(
        int(9000 * ((i * 37 % 200) / 100 - 1)).to_bytes(2, "little", signed=True)
        for i in range(8000)
    )
)
FRAME = SPEECH[:160]
MESSAGE = json.dumps(
    {
        "event": "media",
        "sequenceNumber": "2",
        "media": {
            "track": "inbound",
            "chunk": "1",
            "timestamp": "5",
            "payload": base64.b64encode(FRAME).decode(),
        },
        "streamSid": STREAM_ID,
    }
).encode()
PREFIX = f'{{"event":"media","streamSid":"{STREAM_ID}","media":{{"payload":"'.encode()


class Media(msgspec.Struct):
    payload: bytes


class Message(msgspec.Struct):
    event: str
    media: Media


DECODER = msgspec.json.Decoder(Message)


def encode(payload: bytes) -> bytes:
    return PREFIX + b2a_base64(payload, newline=False) + b'"}}'


class Call:
    """The media path of one call, without engines and without a socket."""

    def __init__(self) -> None:
        self.energy = EnergyGate()
        self.voice = VoiceGate()
        self.playout = Playout()
        self.playout.begin("u")
        self.playout.begin_sentence("u", "A sentence that never ends.")
        self.sent_bytes = 0
        self.jitter: list[float] = []
        self.planned: float | None = None
        self.spoke_at: float | None = None
        self.spoken_s = 0.0

    def hear(self, message: bytes, at: float) -> None:
        frame = DECODER.decode(message).media.payload
        if self.energy.is_worth_detecting(frame):
            self.voice.receive(0.9, at=at, level_dbfs=self.energy.level_dbfs)

    def speak(self, now: float) -> float | None:
        """Send what is due, for the ticker."""
        if self.spoke_at is not None:
            self.jitter.append(abs(now - self.spoke_at - self.spoken_s))
        sent_before = self.sent_bytes
        if self.playout.backlog_s < 1:
            self.playout.append("u", SPEECH)
        for step in self.playout.advance(now):
            if isinstance(step, SendAudio):
                encode(step.payload)
                self.sent_bytes += len(step.payload)
        self.spoke_at = now
        self.spoken_s = (self.sent_bytes - sent_before) / 8000
        self.planned = self.playout.next_due()
        return self.planned


def naive_pair(level_of) -> None:
    """One frame in and one out, the obvious way."""
    message = json.loads(MESSAGE.decode())
    if message["event"] == "media":
        frame = base64.b64decode(message["media"]["payload"])
        level_of(frame)
    json.dumps(
        {
            "event": "media",
            "streamSid": STREAM_ID,
            "media": {"payload": base64.b64encode(FRAME).decode()},
        }
    ).encode()


def naive_level():
    """Return the usual way to the level of a frame, and its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import audioop  # noqa: PLC0415 - gone from Python 3.13 on
        except ImportError:
            return (lambda frame: max(decode_ulaw(frame))), "decode and max"
    return (lambda frame: audioop.rms(audioop.ulaw2lin(frame, 2), 2)), "audioop"


def cost_of_a_pair() -> None:
    call, now = Call(), 1_700_000_000.0

    def pair() -> None:
        nonlocal now
        now += 0.02
        call.hear(MESSAGE, now)
        if call.planned is None or now >= call.planned:
            call.speak(now)

    level_of, name = naive_level()
    ours = cpu_us_per_run(pair)
    naive = cpu_us_per_run(lambda: naive_pair(level_of))
    print(
        f"  decode, typed         {cpu_us_per_run(lambda: DECODER.decode(MESSAGE)):6.2f} us"
    )
    print(
        f"  level of a frame      {cpu_us_per_run(lambda: mean_level(FRAME)):6.2f} us"
    )
    print(
        f"  mu-law to PCM16       {cpu_us_per_run(lambda: decode_ulaw(FRAME)):6.2f} us"
    )
    print(f"  whole pair            {ours:6.2f} us")
    print(f"  naive pair            {naive:6.2f} us  (json, base64, {name}, no pacing)")
    print(f"  ratio                 {ours / naive:6.2f}")


async def pace(count: int) -> tuple[float, float, float]:
    """Run `count` calls; return p50 and p99 jitter and the share of the core used."""
    clock = SystemClock()
    ticker = Ticker(clock)
    calls = [Call() for _ in range(count)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    slots = 20  # inbound frames of different calls arrive at different times
    groups = [calls[slot::slots] for slot in range(slots)]

    async def listen() -> None:
        turn = 0
        while loop.time() - began < STEP_S:
            at = clock.now()
            for call in groups[turn % slots]:
                call.hear(MESSAGE, at)
            turn += 1
            await asyncio.sleep(began + turn * 0.02 / slots - loop.time())

    for index, call in enumerate(calls):
        loop.call_later(WARM_UP_S * index / count, ticker.add, call.speak)
    ears = loop.create_task(listen())
    await asyncio.sleep(WARM_UP_S + 0.2)
    for call in calls:
        call.jitter.clear()
    cpu, wall = time.thread_time(), time.perf_counter()
    await ears
    share = (time.thread_time() - cpu) / (time.perf_counter() - wall)
    ticker.close()
    jitter = [each for call in calls for each in call.jitter]
    return percentile(jitter, 50), percentile(jitter, 99), share


def calls_per_core() -> None:
    best = 0
    for count in CALLS:
        p50, p99, share = asyncio.run(pace(count))
        is_good = p99 < JITTER_LIMIT_S
        best = count if is_good else best
        print(
            f"  {count:4d} calls  jitter p50 {p50 * 1000:5.1f} ms, p99 {p99 * 1000:5.1f} ms,"
            f"  core {share:4.0%}  {'ok' if is_good else 'too late'}"
        )
        if not is_good:
            break
    sign = ">=" if best == CALLS[-1] else "  "
    print(
        f"  calls per core      {sign}{best:4d}  (p99 pacing jitter < 20 ms, no sockets)"
    )


def main() -> None:
    core = pin()
    print(f"pinned to core {core}")
    settle()
    print("one inbound and one outbound frame of 20 ms, CPU time:")
    cost_of_a_pair()
    print(f"calls in real time, {STEP_S:.0f} s each:")
    calls_per_core()


if __name__ == "__main__":
    main()
