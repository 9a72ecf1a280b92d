"""How shells ask. zsh and fish do as click has it; bash takes words apart at ``=``, ``:`` and ``@``, and needs more."""

from __future__ import annotations

import os
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

# What is typed is passed on as a line, since COMP_WORDS does not tell whether there was space between its words.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    response=$(env _MNGR_LINE="${COMP_LINE:0:COMP_POINT}" _MNGR_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read -r type value <<<"$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
        case $value in *[=:]) compopt -o nospace ;; esac
    done
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
# readline leaves "@", unlike the others, with what follows it (rl_special_prefixes of bash).
_PARTING = {"=": 1, ":": 1, "@": 0}


class _UpToDashes(ShellComplete):
    """What stands behind ``--`` is the agent's affair."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        return [] if "--" in args else super().get_completions(args, incomplete)


class _Zsh(_UpToDashes, ZshComplete): ...


class _Fish(_UpToDashes, FishComplete): ...


class _Bash(_UpToDashes, BashComplete):
    source_template = _BASH

    def source(self) -> str:
        """Without the look at bash's version, which any that is in use passes."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("_MNGR_LINE")
        if line is None:
            return super().get_completion_args()
        words = split_arg_string(line)[1:]
        return (words, "") if not words or line[-1:].isspace() else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Without what stands before the part of the word that bash takes for the whole."""
        typed = self.get_completion_args()[1]
        breaks = os.environ.get("_MNGR_BREAKS", "")
        at = max(
            (typed.rfind(sign) + own for sign, own in _PARTING.items() if sign in breaks and sign in typed), default=0
        )
        return f"{item.type},{str(item.value).removeprefix(typed[:at])}"


def register() -> None:
    """Lets click know. A second call changes nothing."""
    for kind in (_Bash, _Zsh, _Fish):
        add_completion_class(kind)
