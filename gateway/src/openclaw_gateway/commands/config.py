"""`openclaw config …`: read, change, check and modernise openclaw.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclaw_gateway.cli_context import CommandContext
from openclaw_gateway.commands.output import JsonFlag, group, print_result, say
from openclaw_gateway.config.key_paths import (
    MISSING,
    Change,
    find_value,
    parse_path,
    show_path,
)
from openclaw_gateway.config.problems import near_name
from openclaw_gateway.config.secrets import hide_secrets
from openclaw_gateway.errors import BadParams, ConfigInvalid

if TYPE_CHECKING:
    from openclaw_gateway.config.edit import Edited
    from openclaw_gateway.config.key_paths import KeyPath

__all__ = ["apply_changes", "build_group"]

PathArgument = Annotated[
    str, typer.Argument(help='For example gateway.port or a.b[0]["key.with.dots"].')
]


def build_group() -> typer.Typer:
    """Return `openclaw config`."""
    app = group("Read, change and check the configuration file.")
    app.command("get")(get)
    app.command("set")(set_)
    app.command("unset")(unset)
    app.command("validate")(validate)
    app.command("migrate")(migrate)
    app.command("file")(file)
    return app


def get(
    path: PathArgument,
    *,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show secrets that stand in the file.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Print what stands at a path, with references as they are written."""
    del as_json
    raw, steps = CommandContext().loaded.raw, parse_path(path)
    value = find_value(raw, steps)
    if value is MISSING:
        raise ConfigInvalid(_why_missing(raw, steps), key_path=show_path(steps))
    shown = value if reveal else hide_secrets(value, key=str(steps[-1]))
    if shown != value:
        say("Secrets are hidden; --reveal shows them.")
    print_result(shown)


def _why_missing(raw: Any, steps: KeyPath) -> str:
    parent = find_value(raw, steps[:-1])
    known = parent if isinstance(parent, dict) else {}
    return f"is not set{near_name(str(steps[-1]), known)}."


def set_(
    path: PathArgument,
    value: Annotated[str, typer.Argument(help="JSON5; anything else is a text.")],
    *,
    strict_json: Annotated[
        bool, typer.Option("--strict-json", help="Refuse what is not JSON5.")
    ] = False,
) -> None:
    """Set one value and keep everything else as it is, comments included."""
    steps = parse_path(path)
    change = Change(path=steps, value=_parse(value, is_strict=strict_json))
    _report(apply_changes(change), steps)


def unset(path: PathArgument) -> None:
    """Remove one value; the earlier file stays as a backup."""
    steps = parse_path(path)
    context = CommandContext()
    if find_value(context.loaded.raw, steps) is MISSING:
        raise ConfigInvalid(
            _why_missing(context.loaded.raw, steps), key_path=show_path(steps)
        )
    _report(apply_changes(Change(path=steps, value=MISSING)), steps)


def apply_changes(*changes: Change) -> Edited:
    """Edit the configuration file, and say on stderr what people should know.

    Raises:
        ConfigProblems: The Gateway would not accept the result.
        ConfigUnreadable: The file cannot be read or written.
    """
    # Commands that only read need none of it.
    from openclaw_gateway.config.edit import edit_file  # noqa: PLC0415

    edited = edit_file(CommandContext().loaded.path, changes)
    if not edited.kept_comments:
        say(
            "The file could not be changed in place and was written anew as JSON; "
            f"its comments are in {edited.backup}."
        )
    return edited


def _report(edited: Edited, steps: KeyPath) -> None:
    from openclaw_gateway.config.reload import needs_restart  # noqa: PLC0415

    restart = sorted(needs_restart(edited.before, edited.after))
    if restart:
        say("A running Gateway must be restarted to take this.")
    print_result(
        {
            "path": show_path(steps),
            "changed": edited.is_changed,
            "backup": str(edited.backup) if edited.backup else None,
            "restart": bool(restart),
        }
    )


def _parse(text: str, *, is_strict: bool) -> Any:
    import pyjson5  # noqa: PLC0415 - only here

    if text.startswith("+") and text[1:].isdecimal() and not is_strict:
        return text  # a phone number, though JSON5 reads it as a number
    try:
        return pyjson5.decode(text)
    except pyjson5.Json5Exception:
        if is_strict:
            raise BadParams("the value is not JSON5.") from None
        return text


def validate(*, as_json: JsonFlag = False) -> int:
    """List everything that is wrong with the file; exit code 1 if anything is."""
    del as_json
    from openclaw_gateway.commands.findings import config_findings  # noqa: PLC0415

    config = CommandContext().loaded
    findings = config_findings(config)
    for finding in findings:
        say(f"{finding['severity']}: {finding['path']}: {finding['message']}")
    is_valid = not any(finding["severity"] == "error" for finding in findings)
    print_result({"valid": is_valid, "file": str(config.path), "problems": findings})
    return 0 if is_valid else 1


def migrate(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
) -> None:
    """Carry settings of plugins from older names to today's; keeps a backup."""
    from openclaw_gateway.commands.findings import find_migrations  # noqa: PLC0415

    changes, notes = find_migrations(CommandContext().loaded)
    for note in notes:
        say(note)
    backup = None
    if changes and not dry_run:
        backup = apply_changes(*changes).backup
    print_result(
        {
            "changed": bool(changes) and not dry_run,
            "migrated": notes,
            "backup": str(backup) if backup else None,
        }
    )


def file(*, as_json: JsonFlag = False) -> None:
    """Say where the configuration file and the state are."""
    del as_json
    config = CommandContext().loaded
    print_result(
        {
            "path": str(config.path),
            "exists": config.path.exists(),
            "stateDir": str(config.state_dir),
        }
    )
