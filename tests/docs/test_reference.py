"""The reference pages say what the code says, and leave nothing out."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voice_call.config import VoiceCallConfig
from voice_call.rpc import METHODS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SOURCES = sorted(
    path
    for folder in ("gateway/src", "extensions/voice-call/src")
    for path in (ROOT / folder).rglob("*.py")
)
STALE = "run `python docs/generate_reference.py` and commit what it writes"


def load_generator() -> ModuleType:
    path = ROOT / "docs" / "generate_reference.py"
    spec = importlib.util.spec_from_file_location("generate_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return load_generator()


def read(page: str) -> str:
    return (REFERENCE / f"{page}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["configuration", "errors", "cli", "rpc"])
def test_the_page_is_fresh(generator: ModuleType, page: str) -> None:
    text = read(page)
    assert generator.fill(text, generator.PAGES[page]) == text, STALE


def test_every_setting_of_the_plugin_that_has_an_effect_is_described(
    generator: ModuleType,
) -> None:
    idle = {
        VoiceCallConfig.model_fields[name].alias for name in generator.WITHOUT_EFFECT
    }
    bare = [
        key
        for key, _, _, about in generator.config_rows(VoiceCallConfig)
        if not about and key.split(".")[0] not in idle
    ]
    assert bare == []


def attributes_of_the_configuration() -> set[str]:
    """Return the settings that the plugin reads, the checks of `config` aside."""
    package = ROOT / "extensions/voice-call/src/voice_call"
    found = set()
    for path in package.rglob("*.py"):
        text = path.read_text()
        if path.parent.name == "config" or "voice_call.config import" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                owner = node.value
                name = getattr(owner, "id", getattr(owner, "attr", ""))
                if name in ("config", "_config"):
                    found.add(node.attr)
    return found & VoiceCallConfig.model_fields.keys()


def test_the_settings_without_effect_are_those_that_nothing_reads(
    generator: ModuleType,
) -> None:
    others = {"silence_timeout_ms", "store"}  # read on the way, see config.sources
    unread = VoiceCallConfig.model_fields.keys() - attributes_of_the_configuration()
    assert unread - others == generator.WITHOUT_EFFECT


def gateway_keys() -> Iterator[str]:
    pattern = re.compile(
        r'\b(?:get|section)\(\s*f?"((?:gateway|agents|plugins)\.[^"]*)"'
    )
    for path in SOURCES:
        if "openclaw_gateway" in path.parts:
            yield from pattern.findall(path.read_text())


@pytest.mark.parametrize("key", sorted(set(gateway_keys())))
def test_every_setting_of_the_gateway_is_documented(key: str) -> None:
    page = read("configuration")
    if key == "gateway.auth.{key}":
        assert "`gateway.auth.token`" in page
        assert "`gateway.auth.password`" in page
    elif key == "plugins.entries.{path}":
        assert "`plugins.entries.<id>.config`" in page
    else:
        assert f"`{re.sub(r'{.*?}', '<id>', key)}`" in page


def variables() -> set[str]:
    pattern = re.compile(r'"(OPENCLAW_[A-Z_]+)"')
    return {name for path in SOURCES for name in pattern.findall(path.read_text())}


@pytest.mark.parametrize("name", sorted(variables()))
def test_every_variable_is_documented(name: str) -> None:
    assert f"`{name}`" in read("configuration")


def literal_codes() -> set[str]:
    pattern = re.compile(r'"code": "(\w+)"|^ +code = "(\w+)"', re.MULTILINE)
    return {
        first or second
        for path in SOURCES
        if "testing" not in path.parts
        for first, second in pattern.findall(path.read_text())
    }


@pytest.mark.parametrize("code", sorted(literal_codes()))
def test_every_error_code_is_documented(code: str) -> None:
    assert f"`{code}`" in read("errors")


def test_every_error_code_has_a_remedy(generator: ModuleType) -> None:
    codes = {code for code, _, _, _ in generator.error_rows()}
    missing = codes - generator.REMEDIES.keys()
    assert not missing, "say what to do: REMEDIES in docs/generate_reference.py"


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.name)
def test_every_method_has_its_result_documented(method: object) -> None:
    name = getattr(method, "name", "")
    assert read("rpc").count(f"`{name}`") >= 2
