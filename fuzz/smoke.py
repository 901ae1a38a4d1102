"""What all fuzz targets share: the long run with atheris, the short one without.

python fuzz/fuzz_config.py             for as long as you like, needs atheris
pytest fuzz/fuzz_config.py             a second, needs nothing
"""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["mutations", "run_for_long"]


def mutations(seeds: Sequence[bytes], *, count: int, seed: int = 1) -> Iterator[bytes]:
    """Yield the seeds, then `count` inputs made from them; always the same ones."""
    chance = random.Random(seed)
    yield from seeds
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at = chance.randint(0, len(data))
            match chance.randint(0, 3):
                case 0:
                    data[at:at] = chance.choice(seeds)[: chance.randint(0, 40)]
                case 1:
                    del data[at : at + chance.randint(1, 8)]
                case 2:
                    data[at : at + 1] = bytes([chance.randint(0, 255)])
                case _:
                    data[at:at] = bytes([chance.choice(b"{}[],:\"'\\/*$\n0-")])
        yield bytes(data)


def run_for_long(target: Callable[[bytes], None]) -> None:
    """Hand the target to atheris."""
    try:
        import atheris  # noqa: PLC0415 - only for the long run
    except ImportError:
        sys.exit(
            "This needs atheris: pip install atheris. The short run is: pytest fuzz"
        )
    atheris.instrument_all()
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
