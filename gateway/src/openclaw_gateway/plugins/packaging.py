"""What `pip` or `uv` does for us: build a wheel, say what is missing, unpack.

Whichever of the two this Python has is used. Nothing is ever installed into the
environment that the Gateway runs in.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw_gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["InstallFailed", "Installer", "find_installer"]

LIMIT_S = 900.0
"""For one run; large packages on slow lines take minutes."""
SAID_LINES = 3

_PLANNED = re.compile(r"^ ([+-]) ([A-Za-z0-9._-]+)(?:==(\S+))?")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")


class InstallFailed(GatewayError):
    """Raised when a plugin could not be installed; nothing of it is left behind."""

    code = "plugin_install"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """One of the two programs.

    Attributes:
        command: How it is started.
        is_uv: Whether it is uv.
    """

    command: tuple[str, ...]
    is_uv: bool

    def build_wheel(self, folder: Path, into: Path) -> Path:
        """Build the distribution in a folder.

        A build backend that is installed here is used as it is, so that no network is
        needed; else pip or uv fetches it.

        Raises:
            InstallFailed: It cannot be built.
        """
        options = ["--no-build-isolation"] if _has_backend(folder) else []
        if self.is_uv:
            python = ["--python", sys.executable, "--out-dir", str(into)]
            self._run("build", "--wheel", *options, *python, "--", str(folder))
        else:
            self._run(
                "wheel", "--no-deps", *options, "-w", str(into), "--", str(folder)
            )
        wheels = sorted(into.glob("*.whl"))
        if len(wheels) != 1:
            raise InstallFailed(f"The folder {folder} did not become one wheel.")
        return wheels[0]

    def missing_for(self, requirement: str, *, name: str | None) -> list[str]:
        """Return what this environment lacks for a requirement, as `name==version`.

        Args:
            requirement: As pip takes it.
            name: The distribution that is to be installed anyway, if known.

        Raises:
            InstallFailed: It cannot be had, or would replace something that the
                Gateway itself stands on.
        """
        if self.is_uv:
            planned = self._plan_of_uv(requirement)
        else:
            planned = self._plan_of_pip(requirement)
        ours = _folded(name or "")
        lacking = [f"{n}=={v}" for n, v, _ in planned if _folded(n) != ours]
        replaced = [n for n, _, is_new in planned if not is_new and _folded(n) != ours]
        if replaced:
            raise InstallFailed(
                f"It needs another version of {', '.join(replaced)} than this "
                "environment has; bring the environment up to date first."
            )
        return lacking

    def unpack(self, requirements: Sequence[str], into: Path) -> None:
        """Put distributions into a folder, without what they require.

        Raises:
            InstallFailed: One cannot be had.
        """
        options = ["--no-deps", "--target", str(into)]
        if self.is_uv:
            options += ["--python", sys.executable]
            self._run("pip", "install", *options, "--", *requirements)
        else:
            self._run("install", *options, "--", *requirements)

    def _plan_of_uv(self, requirement: str) -> list[tuple[str, str, bool]]:
        said = self._run(
            "pip", "install", "--dry-run", "--python", sys.executable, "--", requirement
        )
        found = [m for line in said.splitlines() if (m := _PLANNED.match(line))]
        leaving = {_folded(m[2]) for m in found if m[1] == "-"}
        return [
            (m[2], m[3] or "", _folded(m[2]) not in leaving)
            for m in found
            if m[1] == "+"
        ]

    def _plan_of_pip(self, requirement: str) -> list[tuple[str, str, bool]]:
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        report = self._run(
            "install", "--quiet", "--dry-run", "--report", "-", "--", requirement
        )
        planned: list[tuple[str, str, bool]] = []
        for item in json.loads(report[report.index("{") :])["install"]:
            about = item["metadata"]
            try:
                version(about["name"])
                is_new = False
            except PackageNotFoundError:
                is_new = True
            planned.append((about["name"], about["version"], is_new))
        return planned

    def _run(self, *arguments: str) -> str:
        try:
            ended = subprocess.run(  # noqa: S603 - no shell, and no options from outside
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if self.is_uv else subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InstallFailed(
                f"{self.command[0]} did not end within {LIMIT_S:g} seconds."
            ) from None
        if ended.returncode:
            said = (ended.stderr or ended.stdout or "").strip().splitlines()
            lines = " ".join(line.strip() for line in said[-SAID_LINES:])
            raise InstallFailed(
                f"{Path(self.command[0]).name} says: {_CREDENTIALS.sub('', lines)}"
            )
        return ended.stdout


def find_installer() -> Installer:
    """Return the one that this Python has.

    Raises:
        InstallFailed: It has neither.
    """
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        return Installer(command=(uv,), is_uv=True)
    if find_spec("pip"):
        return Installer(
            command=(sys.executable, "-m", "pip", "--disable-pip-version-check"),
            is_uv=False,
        )
    raise InstallFailed(
        "Neither uv nor pip is here; install uv, or put pip into this environment "
        f"({sys.executable} -m ensurepip)."
    )


def _has_backend(folder: Path) -> bool:
    import tomllib  # noqa: PLC0415 - installing is rare

    try:
        project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())
        backend = project["build-system"]["build-backend"]
        return find_spec(backend.partition(".")[0].partition(":")[0]) is not None
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
