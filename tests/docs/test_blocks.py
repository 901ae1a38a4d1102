"""What the documents show is what happens, and what they point to is there.

A `console` block of the pages in `RUNNABLE` is run as it stands, by a shell with a home
directory of its own: lines that begin with `$ ` are typed, the others are what must come
back. In what must come back, ids, process ids, ports and times may differ, a call's words
may be understood a little differently, and a line with nothing but `…` stands for any
number of lines. An id that was given takes the place of the printed one from then on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from e2e.gateway_process import free_port, pause
from voice_call import demo

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
RUNNABLE = (
    ROOT / "README.md",
    ROOT / "docs/tutorial/first-call.md",
    ROOT / "docs/howto/take-a-call.md",
)
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "gateway/README.md",
        ROOT / "extensions/voice-call/README.md",
    ]
)
CALL_ID = r"mock-in-\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
VARIABLE = re.compile(
    rf"(?P<id>{CALL_ID})"
    r"|(?P<number>(?<=127\.0\.0\.1:)\d+|(?<=pid )\d+|\b\d{13}\b)"
    r'|(?P<words>(?<="transcript": )"[^"]+")'
)
MAY_BE = {"id": f"(?:{CALL_ID})", "number": r"\d+", "words": r'"[^"\n]+"'}
READY_S = 60.0
RINGING_S = 15.0


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- reading ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    command: str
    expected: str


def fences(text: str, language: str) -> Iterator[str]:
    pattern = rf"^```{language}\n(.*?)^```$"
    yield from re.findall(pattern, text, re.MULTILINE | re.DOTALL)


def steps(text: str) -> Iterator[Step]:
    for block in fences(text, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            yield Step(command=command, expected=expected)


def files(text: str) -> Iterator[tuple[str, str]]:
    pattern = r"<!-- file: (.+?) -->\n```\w+\n(.*?)^```$"
    yield from re.findall(pattern, text, re.MULTILINE | re.DOTALL)


def pattern_for(expected: str) -> str:
    """Return what the output has to match."""
    lines = []
    for line in expected.splitlines():
        shape, done = "", 0
        for found in VARIABLE.finditer(line):
            assert found.lastgroup is not None
            shape += re.escape(line[done : found.start()]) + MAY_BE[found.lastgroup]
            done = found.end()
        shape += re.escape(line[done:])
        lines.append(r"(?:.*\n)*?" if line == "…" else shape + r"\n")
    return "".join(lines)


# -- running ---------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Reader:
    """Somebody who types what a page says."""

    home: Path
    environ: dict[str, str] = field(init=False)
    ids: dict[str, str] = field(default_factory=dict)
    gateway: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OPENCLAW_")
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        self.environ = {
            **kept,
            "HOME": str(self.home),
            "PATH": path,
            "OPENCLAW_GATEWAY_PORT": str(free_port()),
            "ORT_DISABLE_TELEMETRY": "1",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.gateway is not None:
            self.gateway.terminate()
            try:
                self.gateway.wait(timeout=1)
            except subprocess.TimeoutExpired:  # a call is live, and may go on
                self.gateway.terminate()
                self.gateway.wait(timeout=60)
            assert self.gateway.stderr is not None
            self.gateway.stderr.close()

    def write(self, name: str, content: str) -> None:
        path = Path(name.replace("~", str(self.home), 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    def do(self, step: Step) -> None:
        command = step.command
        for printed, given in self.ids.items():
            command = command.replace(printed, given)
        if command.startswith("openclaw gateway run"):
            output = self._run_gateway(command)
        else:
            output = self._type(command)
        pattern = pattern_for(step.expected)
        assert re.fullmatch(pattern, output), f"$ {command}\n{output}"
        for printed, given in zip(
            re.findall(CALL_ID, step.expected),
            re.findall(CALL_ID, output),
            strict=False,
        ):
            self.ids.setdefault(printed, given)

    def _run_gateway(self, command: str) -> str:
        self.gateway = subprocess.Popen(
            command.split(),
            env=self.environ,
            cwd=self.home,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.gateway.stderr is not None
        return self.gateway.stderr.readline()

    def _type(self, command: str) -> str:
        """Type a command, and again while the phone still rings."""
        waited_s = 0.0
        while True:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                env=self.environ,
                cwd=self.home,
                capture_output=True,
                text=True,
                timeout=READY_S,
                check=False,
            )
            if "error[not_connected]" not in done.stderr or waited_s > RINGING_S:
                break
            pause(0.25)
            waited_s += 0.25
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.mark.speech
@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_the_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    with Reader(home=tmp_path) as reader:
        for name, content in files(text):
            reader.write(name, content)
        for step in steps(text):
            reader.do(step)


def test_what_must_come_back_may_differ_in_ids_only() -> None:
    pattern = pattern_for('{\n  "callId": "02eef3fb-a87f-410b-a065-f459620cb5f4"\n}\n')
    assert re.fullmatch(
        pattern, '{\n  "callId": "ffffffff-0000-4444-8888-000000000000"\n}\n'
    )
    assert not re.fullmatch(pattern, '{\n  "callId": "02eef3fb"\n}\n')
    assert not re.fullmatch(pattern, "")


def test_a_line_of_dots_stands_for_any_lines() -> None:
    assert re.fullmatch(pattern_for("a\n…\nb\n"), "a\n1\n2\nb\n")
    assert not re.fullmatch(pattern_for("a\n…\nb\n"), "a\n1\n2\n")


# -- pointing --------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def links(page: Path) -> list[str]:
    text = re.sub(
        r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [each for each in targets if "://" not in each]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_target_of_make_that_is_named_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = page.read_text("utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    reached = {
        (index.parent / each.partition("#")[0]).resolve() for each in links(index)
    }
    pages = {each for each in PAGES if each.is_relative_to(index.parent)}
    assert pages - {index} <= reached


def commands_in(page: Path) -> set[str]:
    pattern = r"openclaw ((?:gateway|plugins|config|voicecall) [a-z-]+)"
    found = set(re.findall(pattern, page.read_text("utf-8")))
    return found - {"gateway ready"}  # what a Gateway says of itself


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_named_exists(page: Path) -> None:
    reference = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^### openclaw (.+)$", reference, re.MULTILINE))
    assert commands_in(page) <= known


def test_the_readme_is_short_enough_to_be_read() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 77 <= len(lines) <= 150


def test_the_readme_shows_what_the_demo_prints() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Calling the simulated callee {demo._DEMO_NUMBER} …" in text
    assert f"agent   {demo._OPENING}" in text
    for _, label in demo._PARTS:
        assert f"\n  {label} " in text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_folder_of_a_developer(page: Path) -> None:
    assert not re.search(r"/(?:work|root|home)/", page.read_text(encoding="utf-8"))
