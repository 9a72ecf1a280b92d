"""OpenAI's Codex. It tells the end of a turn to the program that ``notify`` names; the rest is on its screen."""

from __future__ import annotations

from mngr.agents.types import AgentType, Package, Screen
from mngr.hosts.agents import SCRIPTS

TYPE = AgentType(
    name="codex",
    program="codex",
    own_arguments=("-c", f'notify=["sh", "{SCRIPTS}/codex-notify.sh"]'),
    package=Package("@openai/codex", "codex"),
    forwards=("OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY"),
    settings=(".codex/config.toml", ".codex/AGENTS.md", ".codex/prompts", ".codex/skills"),
    credentials=(".codex/auth.json",),
    screen=Screen(
        blocked=("^\u203a [0-9]\\. (Yes|No)(,| |$)", "^ *Press enter to confirm or esc to cancel"),
        busy=("esc to interrupt",),
        ready=("^(\u203a|>)( |$)", "Sign in with ChatGPT"),
    ),
    reports=True,
    setup="codex-setup.sh",
    transcript="codex",
    transcripts='"${CODEX_HOME:-$HOME/.codex}"/sessions/*/*/*/rollout-*.jsonl',
)
