"""`openclaw completion`: a script that completes commands without starting Python.

The command tree, with the groups of installed plugins, is written into the script as
data. After a plugin was added, make the script again.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openclaw_gateway.commands import CORE_GROUPS, build_app
from openclaw_gateway.commands.output import group, say
from openclaw_gateway.commands.plugin_groups import command_of, plugin_commands

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["build_group", "render"]

SHELLS = ("bash", "zsh", "fish")
Tree = dict[tuple[str, ...], tuple[str, ...]]
"""Commands so far → words that may follow."""


def build_group() -> typer.Typer:
    """Return `openclaw completion`."""
    app = group("Print a completion script.")
    app.info.no_args_is_help = False
    app.info.invoke_without_command = True
    app.callback()(completion)
    return app


def completion(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")],
) -> None:
    """Print a completion script: openclaw completion bash > ~/.openclaw-completion."""
    if shell not in SHELLS:
        raise typer.BadParameter(f"must be {', '.join(SHELLS)}")
    sys.stdout.write(render(shell, _whole_tree()))


def render(shell: str, tree: Tree) -> str:
    """Return the script for one shell."""
    if shell == "fish":
        return _fish(tree)
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return head + _bash(tree)


def _whole_tree() -> Tree:
    from typer.main import get_command  # noqa: PLC0415 - only here

    tree = dict(_walk(get_command(build_app()), ()))
    top = [*tree[()]]
    for name, load in plugin_commands().items():
        if name in CORE_GROUPS:
            continue
        try:
            tree.update(_walk(command_of(load), (name,)))
        except Exception as error:  # noqa: BLE001 - one plugin must not spoil the rest
            say(f"The commands of {name} cannot be loaded: {error}")
            continue
        top.append(name)
    tree[()] = tuple(sorted(top))
    return tree


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    names = getattr(command, "commands", {})
    options = {o for p in command.params for o in getattr(p, "opts", ()) if o[0] == "-"}
    words = sorted(names) + sorted(o for o in options if o.startswith("--"))
    yield path, tuple([*words, "--help"] if "--help" not in words else words)
    for name, below in names.items():
        yield from _walk(below, (*path, name))


def _bash(tree: Tree) -> str:
    cases = "\n".join(
        f'    "{" ".join(path)}") words="{" ".join(words)}" ;;'
        for path, words in sorted(tree.items())
    )
    groups = " ".join(f'"{" ".join(path)}"' for path in sorted(tree) if path)
    return f"""\
_openclaw() {{
  local path="" word words="" known
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    for known in {groups}; do
      if [ "$known" = "${{path:+$path }}$word" ]; then path="$known"; break; fi
    done
  done
  case "$path" in
{cases}
  esac
  COMPREPLY=( $(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}") )
}}
complete -o default -F _openclaw openclaw
"""


def _fish(tree: Tree) -> str:
    lines = []
    for path, words in sorted(tree.items()):
        plain = " ".join(word for word in words if not word.startswith("-"))
        # The longest known path that was typed decides.
        test = f"__openclaw_at '{' '.join(path)}'"
        if plain:
            lines.append(f'complete -c openclaw -n "{test}" -f -a "{plain}"')
        lines += [
            f'complete -c openclaw -n "{test}" -l {word[2:]}'
            for word in words
            if word.startswith("--")
        ]
    known = " ".join(f"'{' '.join(path)}'" for path in sorted(tree) if path)
    return (
        f"""\
function __openclaw_at
  set -l path ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$path $word")
    if contains -- "$next" {known}
      set path $next
    end
  end
  test "$path" = "$argv[1]"
end
"""
        + "\n".join(lines)
        + "\n"
    )
