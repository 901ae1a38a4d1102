"""How commands are grouped and how they print: results to stdout, words to stderr."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

__all__ = ["JsonFlag", "group", "print_result", "say"]

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Accepted; the result is always JSON.")
]


def group(help_text: str, *, epilog: str | None = None) -> typer.Typer:
    """Return a command group with plain help.

    Rich help texts would cost every command a quarter of its time.
    """
    return typer.Typer(
        help=help_text,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def print_result(result: Any) -> None:
    """Print one JSON value for programs."""
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def say(line: str) -> None:
    """Print one line for people."""
    sys.stderr.write(line + "\n")
