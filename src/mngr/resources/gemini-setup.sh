#!/bin/sh
# Before Gemini CLI starts: with an API key at hand it need not ask how to log in. What is set already stays.
set -eu
[ -n "${GEMINI_API_KEY:-}" ] || exit 0
umask 077
mkdir -p "$HOME/.gemini"
file="$HOME/.gemini/settings.json"
[ -s "$file" ] || echo '{}' >"$file"
jq '.security.auth.selectedType //= "gemini-api-key"' "$file" >"$file.mngr" && mv "$file.mngr" "$file"
