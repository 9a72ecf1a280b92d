"""Claude Code. It tells its state by hooks, which a settings file of ours adds to the user's own."""

from __future__ import annotations

from mngr.agents.types import AgentType, Package, Screen
from mngr.hosts.agents import SCRIPTS

TYPE = AgentType(
    name="claude",
    program="claude",
    # Hooks of several settings files add up, so the user's stay in force (code.claude.com/docs, "Hooks reference").
    own_arguments=("--settings", f"{SCRIPTS}/claude-hooks.json"),
    package=Package("@anthropic-ai/claude-code", "claude"),
    # It refuses --dangerously-skip-permissions to root unless it is told that it is in a sandbox.
    env={"IS_SANDBOX": "1", "DISABLE_AUTOUPDATER": "1"},
    forwards=(
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"),
        *("CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"),
    ),
    settings=(
        *(".claude/settings.json", ".claude/CLAUDE.md", ".claude/commands", ".claude/agents", ".claude/skills"),
        ".claude/output-styles",
    ),
    credentials=(".claude/.credentials.json",),
    screen=Screen(
        # The answers that its questions offer, with the mark at one; a question alone may as well be what it said.
        blocked=("^(\u2502| )*\u276f [0-9]\\. (Yes|No)(,| |$)",),
        busy=("esc to interrupt",),
        ready=(
            "^(\u2502| )*(>|\u276f)( |\u00a0)*($|[^ 0-9])",
            "Select login method",
            "Choose the text style",
            "Paste code here",
        ),
    ),
    reports=True,
    setup="claude-setup.sh",
    transcript="claude",
    transcripts='"$HOME/.claude/projects/$(pwd | tr -c "a-zA-Z0-9\\n" -)"/*.jsonl',
)
