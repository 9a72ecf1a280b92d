"""OpenCode. What it is doing is read from its screen."""

from __future__ import annotations

from mngr.agents.types import AgentType, Package, Screen

TYPE = AgentType(
    name="opencode",
    program="opencode",
    package=Package("opencode-ai", "opencode"),
    env={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
    forwards=("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "OPENCODE_API_KEY"),
    settings=(".config/opencode",),
    credentials=(".local/share/opencode/auth.json",),
    screen=Screen(
        blocked=("\u25b3 (Permission required|Reject permission)", "Allow once +Allow always"),
        busy=("esc (again )?(to )?interrupt",),
        ready=("Ask anything", "ctrl\\+p commands"),
    ),
)
