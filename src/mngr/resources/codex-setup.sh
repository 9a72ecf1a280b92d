#!/bin/sh
# Before Codex starts: the work folder is the user's own project, so it is trusted; it logs in with an API key that the
# agent has, and then asks for no login; it asks the server that the agent was given. What is set already stays.
set -eu
dir=${CODEX_HOME:-$HOME/.codex}
umask 077
mkdir -p "$dir"
if ! grep -qF "[projects.\"$MNGR_AGENT_WORK_DIR\"]" "$dir/config.toml" 2>/dev/null; then
    printf '\n[projects."%s"]\ntrust_level = "trusted"\n' "$MNGR_AGENT_WORK_DIR" >>"$dir/config.toml"
fi
# Codex itself reads the address of its server from no variable. Settings of the top come before all tables.
if [ -n "${OPENAI_BASE_URL:-}" ] && ! grep -q '^openai_base_url' "$dir/config.toml"; then
    { printf 'openai_base_url = "%s"\n' "$OPENAI_BASE_URL" && cat "$dir/config.toml"; } >"$dir/config.toml.mngr"
    mv "$dir/config.toml.mngr" "$dir/config.toml"
fi
if [ -n "${OPENAI_API_KEY:-}" ] && [ ! -e "$dir/auth.json" ] && command -v codex >/dev/null 2>&1; then
    printenv OPENAI_API_KEY | codex login --with-api-key >/dev/null 2>&1 || true
fi
