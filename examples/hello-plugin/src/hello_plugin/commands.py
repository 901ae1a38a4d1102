"""`openclaw hello …`: imported only when it is called."""

from __future__ import annotations

import json
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def hello() -> None:
    """Greet people."""


@app.command()
def greet(ctx: typer.Context, name: Annotated[str, typer.Option()] = "world") -> None:
    """Let the running Gateway greet somebody."""
    answer = ctx.obj.call("hello.greet", {"name": name}, timeout_s=5.0)
    print(json.dumps(answer))
