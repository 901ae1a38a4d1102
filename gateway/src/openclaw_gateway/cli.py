"""The command `openclaw`.

Commands only parse, call and print. Results are one JSON object on standard output;
what goes wrong is one line on standard error, `error[<code>]: <sentence>`, one line
for each problem of a configuration. The exit code
is 0 only on success, 1 on failure, 2 where the command line is wrong, 130 on Ctrl-C.

Plugins add command groups through the entry-point group `openclaw.cli`: the name is the
group (`openclaw <name> …`), the value a typer app or a click command. It is imported only
when it is called. Its commands find in `ctx.obj` an object with:

    call(method, params, *, timeout_s) -> dict   asks the running Gateway once
    events(prefix="") -> iterator of dicts       follows it: {"event", "payload", "seq"}
    config                                       openclaw.json, read on first use
    state_dir                                    a pathlib.Path

`call` and `events` raise exceptions with the attributes `code: str` and
`is_request_fault: bool`; `gateway_down` says that no Gateway runs. Nothing here starts
one. A command that lets such an exception through is reported as said above.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.commands import CORE_GROUPS, build_app
from openclaw_gateway.commands.plugin_groups import command_of, plugin_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(args)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except Exception as error:  # noqa: BLE001 - the last line of defence: reported
        return _report(error)


def _dispatch(args: list[str]) -> int:
    name = args[0] if args else "--help"
    if not name.startswith("-") and name not in CORE_GROUPS:
        load = plugin_commands().get(name)
        if load is not None:
            return _invoke(command_of(load), args[1:], f"openclaw {name}")
    from typer.main import get_command  # noqa: PLC0415 - not needed by click groups

    named = () if name in CORE_GROUPS else plugin_commands()
    app = build_app(name, plugin_groups=named)
    return _invoke(get_command(app), args or ["--help"], "openclaw")


def _invoke(command: Any, args: list[str], prog_name: str) -> int:
    code = command.main(
        args=args, prog_name=prog_name, obj=CommandContext(), standalone_mode=False
    )
    sys.stdout.flush()
    return code if isinstance(code, int) and not isinstance(code, bool) else 0


def _report(error: Exception) -> int:
    """Say what went wrong in one line."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()  # click's and typer's own errors about the command line
        return int(error.exit_code)
    if type(error).__name__ == "Abort":
        _say("Aborted.")
        return EXIT_FAILURE
    code = getattr(error, "code", None)
    if not isinstance(code, str):
        if os.environ.get("OPENCLAW_DEBUG"):
            raise error
        code = "internal_error"
        error = RuntimeError(
            f"{type(error).__name__}: {error} (OPENCLAW_DEBUG=1 shows where)"
        )
    for each in getattr(error, "problems", None) or [error]:
        _say(f"error[{code}]: {' '.join(str(each).split())}")
    return EXIT_FAILURE


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
