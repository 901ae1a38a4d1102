"""What a command costs: CPU time of `openclaw voicecall status` at a running Gateway.

A person, or an agent with a shell, pays it for every command. Compared with a bare
interpreter (`python -c pass`) of the same run, and followed by what the dearest imports
cost.
"""

from __future__ import annotations

import os
import re
import resource
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_support import percentile

PYTHON = sys.executable
OPENCLAW = str(Path(sys.executable).with_name("openclaw"))
RUNS = 15
TARGET_S = 0.25
DEAREST = 8
IMPORT_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")


def cpu_s(command: list[str], environ: dict[str, str]) -> float:
    """Return seconds of CPU time, user and system, of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environ, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user_s, system_s = (
        after.ru_utime - before.ru_utime,
        after.ru_stime - before.ru_stime,
    )
    return user_s + system_s


def start_gateway(environ: dict[str, str]) -> subprocess.Popen[str]:
    gateway = subprocess.Popen(
        [OPENCLAW, "gateway", "run"], env=environ, stderr=subprocess.PIPE, text=True
    )
    assert gateway.stderr is not None
    while "ready on" not in (line := gateway.stderr.readline()):
        assert line, "the Gateway did not start"
    return gateway


def dearest_imports(environ: dict[str, str]) -> list[tuple[int, str]]:
    """Return the modules whose own code takes longest, in µs."""
    command = [PYTHON, "-X", "importtime", OPENCLAW, "voicecall", "status"]
    run = subprocess.run(
        command, env=environ, check=True, capture_output=True, text=True
    )
    found = IMPORT_LINE.findall(run.stderr)
    packages: dict[str, int] = {}
    for own_us, _, _, module in found:
        package = module.split(".")[0]
        packages[package] = packages.get(package, 0) + int(own_us)
    return sorted(((us, name) for name, us in packages.items()), reverse=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environ = {
            **os.environ,
            "OPENCLAW_STATE_DIR": folder,
            "OPENCLAW_CONFIG_PATH": str(Path(folder, "openclaw.json")),
            "OPENCLAW_GATEWAY_TOKEN": secrets.token_urlsafe(16),
            "OPENCLAW_GATEWAY_PORT": str(20000 + secrets.randbelow(20000)),
        }
        gateway = start_gateway(environ)
        try:
            status = [OPENCLAW, "voicecall", "status"]
            bare = [PYTHON, "-c", "pass"]
            pairs = [
                (cpu_s(status, environ), cpu_s(bare, environ)) for _ in range(RUNS)
            ]
            imports = dearest_imports(environ)
        finally:
            gateway.terminate()
            gateway.wait(timeout=60)
    ours, bare_s = (percentile(each, 50) for each in zip(*pairs, strict=True))
    print(f"openclaw voicecall status: {ours:.3f} s CPU (median of {RUNS})")
    print(f"python -c pass:            {bare_s:.3f} s CPU")
    print(f"ratio: {ours / bare_s:.1f}")
    verdict = "within" if ours <= TARGET_S else "ABOVE"
    print(f"{verdict} the target of {TARGET_S:g} s")
    print("dearest imports, own time by package, in ms:")
    for us, name in imports[:DEAREST]:
        print(f"  {us / 1000:6.1f}  {name}")


if __name__ == "__main__":
    main()
