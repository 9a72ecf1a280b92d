"""Google's Gemini CLI. What it is doing is read from its screen."""

from __future__ import annotations

from mngr.agents.types import AgentType, Package, Screen

TYPE = AgentType(
    name="gemini",
    program="gemini",
    package=Package("@google/gemini-cli", "gemini", node=20),
    # The work folder is the user's own project.
    env={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
    forwards=(
        *("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL"),
        *("GOOGLE_CLOUD_PROJECT", "GOOGLE_GENAI_USE_VERTEXAI"),
    ),
    settings=(".gemini/settings.json", ".gemini/GEMINI.md", ".gemini/commands"),
    credentials=(".gemini/oauth_creds.json", ".gemini/google_accounts.json"),
    setup="gemini-setup.sh",
    transcript="gemini",
    # For 40 ms it takes an Enter for a new line (its `recentUnsafePasteTime`, seen in 0.61.0).
    paste_rest_s=0.1,
    # Which of its folders is the work folder's it has written down.
    transcripts=(
        '"$HOME/.gemini/tmp/$('
        'jq -r --arg folder "$PWD" \'.projects[$folder] // "none"\' "$HOME/.gemini/projects.json"'
        ')"/chats/session-*.jsonl'
    ),
    screen=Screen(
        blocked=("^(\u2502| )*(\u25cf )?1\\. Allow once", "^(\u2502| )*\u25cf [0-9]\\. (Yes|No|Allow)(,| |$)"),
        busy=("esc to cancel",),
        ready=("Type your message", "How would you like to authenticate"),
    ),
)
