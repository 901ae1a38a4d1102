"""References to secrets: what they lead to, and that nothing of them is ever shown."""

from __future__ import annotations

import json
import sys

import pytest

from openclaw_gateway.config.secrets import hide_secrets, is_reference, resolve
from openclaw_gateway.errors import ConfigInvalid

HUSH = "hush-hush"


def get(value, **environ):
    return resolve(value, "a.b", environ, {})


def fault(value, **environ):
    with pytest.raises(ConfigInvalid) as caught:
        get(value, **environ)
    assert HUSH not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def secret_file(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "secret"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return str(path)

    return write


def program(code, **more):
    return {"source": "exec", "argv": [sys.executable, "-c", code], **more}


@pytest.mark.parametrize("key", ["id", "name"])
def test_an_environment_variable(key):
    assert get({"source": "env", key: "TOKEN"}, TOKEN=HUSH) == HUSH


@pytest.mark.parametrize("environ", [{}, {"TOKEN": ""}])
def test_a_variable_that_is_not_set(environ):
    said = fault({"source": "env", "id": "TOKEN"}, **environ)
    assert said == "a.b: the environment variable TOKEN is not set."


def test_references_are_found_at_any_depth():
    value = {"x": [{"source": "env", "id": "TOKEN"}], "y": "${TOKEN}!"}
    assert get(value, TOKEN="t") == {"x": ["t"], "y": "t!"}


@pytest.mark.parametrize(
    "value", [{"source": "moon", "id": "X"}, {"source": "file"}, {"path": "/x"}, "x", 3]
)
def test_what_is_no_reference_stays(value):
    assert not is_reference(value)
    assert get(value) == value


def test_a_misspelt_key_of_a_reference_is_named():
    said = fault({"source": "file", "path": "/x", "ponter": "/a"})
    assert said.startswith("a.b.ponter: unknown key of a secret reference, perhaps ")
    assert "pointer is meant" in said


@pytest.mark.parametrize("text", [HUSH, HUSH + "\n", HUSH + "\r\n"])
def test_a_file(secret_file, text):
    assert get({"source": "file", "path": secret_file(text)}) == HUSH


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_can_use_is_refused(secret_file, mode):
    said = fault({"source": "file", "path": secret_file(HUSH, mode)})
    assert "run chmod 600 on it" in said


@pytest.mark.parametrize(
    ("pointer", "outcome"),
    [("/a/b", HUSH), ("/list/1", HUSH), ("/x~1y/~0", HUSH)],
)
def test_a_pointer_takes_one_text_out_of_json(secret_file, pointer, outcome):
    value = {"a": {"b": HUSH}, "list": ["", HUSH], "x/y": {"~": HUSH}}
    path = secret_file(json.dumps(value))
    assert get({"source": "file", "path": path, "pointer": pointer}) == outcome


@pytest.mark.parametrize("pointer", ["/a", "/nope", "/list/9", "/list/x", "/n/b/c"])
def test_a_pointer_to_nothing(secret_file, pointer):
    path = secret_file(json.dumps({"a": {"b": HUSH}, "list": [HUSH], "n": 1}))
    said = fault({"source": "file", "path": path, "pointer": pointer})
    assert f"has no text at {pointer}" in said


def test_a_pointer_into_what_is_no_json(secret_file):
    path = secret_file(HUSH)
    said = fault({"source": "file", "path": path, "pointer": "/a"})
    assert "is no JSON" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"path": "relative"}, "a.b.path: must be an absolute path."),
        ({"path": 3}, "a.b.path: must be an absolute path."),
        ({"path": "/x", "pointer": "a"}, "a.b.pointer: must be a JSON pointer"),
        ({"path": "/no/such"}, "cannot be read: No such file or directory."),
        ({"path": "/"}, "no file."),
    ],
)
def test_a_file_reference_that_is_wrong(more, said):
    assert said in fault({"source": "file", **more})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the secret is empty."),
        ("\n", "the secret is empty."),
        (b"\xff\xfe", "the secret is not UTF-8 text."),
        ("x" * 65_537, "the secret is longer than 65536 bytes."),
    ],
)
def test_a_file_that_holds_no_secret(secret_file, text, said):
    assert said in fault({"source": "file", "path": secret_file(text)})


def test_a_program():
    assert get(program(f"print('{HUSH}')")) == HUSH


def test_a_program_gets_the_environment_and_no_input():
    code = "import os, sys; print(os.environ['WORD'] + repr(sys.stdin.read()))"
    assert get(program(code), WORD="w") == "w''"


def test_a_program_is_run_without_a_shell():
    echo = {"source": "exec", "argv": ["/bin/echo", "$(id); `id` > /dev/null"]}
    assert get(echo) == "$(id); `id` > /dev/null"


def test_a_program_runs_once(tmp_path):
    log = tmp_path / "log"
    reference = program(f"open({str(log)!r}, 'a').write('x'); print('s')")
    memory = {}
    for path in ("a", "b"):
        assert resolve(reference, path, {}, memory) == "s"
    assert log.read_text() == "x"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (program(f"print('{HUSH}'); raise SystemExit(3)"), "failed with exit code 3."),
        (program(f"import sys; sys.exit('{HUSH}')"), "failed with exit code 1."),
        (program("print('x' * 70000)"), "printed more than 65536 bytes."),
        (
            program("import time; time.sleep(60)", timeoutMs=200),
            "did not end within 0.2 seconds.",
        ),
        (
            program(
                "import os, time\nif os.fork(): os._exit(0)\ntime.sleep(60)",
                timeoutMs=300,
            ),
            "did not end within 0.3 seconds.",
        ),
        (program("pass"), "the secret is empty."),
        (
            {"source": "exec", "argv": ["/no/such"]},
            "cannot be started: No such file or directory.",
        ),
    ],
)
def test_a_program_that_gives_nothing(reference, said):
    assert said in fault(reference)


@pytest.mark.parametrize(
    ("more", "key_path"),
    [
        ({"argv": []}, "a.b.argv"),
        ({"argv": "echo x"}, "a.b.argv"),
        ({"argv": ["echo", 1]}, "a.b.argv"),
        ({"argv": ["echo", "\0"]}, "a.b.argv"),
        ({"argv": ["echo"], "timeoutMs": 0}, "a.b.timeoutMs"),
        ({"argv": ["echo"], "timeoutMs": True}, "a.b.timeoutMs"),
        ({"argv": ["echo"], "timeoutMs": 60_001}, "a.b.timeoutMs"),
    ],
)
def test_a_program_reference_that_is_wrong(more, key_path):
    assert fault({"source": "exec", **more}).startswith(f"{key_path}: must be ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"token": HUSH}, {"token": "[hidden]"}),
        ({"auth_token": HUSH, "port": 1}, {"auth_token": "[hidden]", "port": 1}),
        ({"apiKey": "${KEY}"}, {"apiKey": "${KEY}"}),
        ({"apiKey": "x${KEY}"}, {"apiKey": "[hidden]"}),
        ([{"password": HUSH}], [{"password": "[hidden]"}]),
        ({"tokens": [HUSH]}, {"tokens": ["[hidden]"]}),
        (
            {"token": {"source": "env", "id": "X"}},
            {"token": {"source": "env", "id": "X"}},
        ),
    ],
)
def test_secrets_are_hidden_and_references_are_not(value, shown):
    assert hide_secrets(value) == shown
