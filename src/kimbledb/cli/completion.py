"""Completion of commands and options in bash, zsh and fish: a script that is made from the parsers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

#: The shells.
SHELLS: Final = ("bash", "zsh", "fish")

_BASH: Final = """\
_kimbledb() {
    local words
    case "${COMP_WORDS[1]}" in
%(cases)s
        *) words="" ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then words="%(commands)s"; fi
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _kimbledb kimbledb
"""
_ZSH: Final = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def script(shell: str, options: Mapping[str, Iterable[str]]) -> str:
    """Return the script that a shell reads.

    Args:
        shell: One of ``SHELLS``.
        options: The options of each command.
    """
    if shell == "fish":
        lines = [f"complete -c kimbledb -f -n __fish_use_subcommand -a {command}" for command in options]
        for command, its in options.items():
            seen = f"complete -c kimbledb -n '__fish_seen_subcommand_from {command}' -l"
            lines += [f"{seen} {option.removeprefix('--')}" for option in its]
        return "\n".join([*lines, ""])
    cases = "\n".join(f'        {command}) words="{" ".join(its)}" ;;' for command, its in options.items())
    bash = _BASH % {"cases": cases, "commands": " ".join(options)}
    return f"{_ZSH}{bash}" if shell == "zsh" else bash
