#!/bin/sh
# Before Claude Code starts: the work folder is the user's own project, so it is trusted; with a key or token at hand
# there is nothing to set up and the login screen is left out. What is known already stays.
set -eu
file="$HOME/.claude.json"
[ -s "$file" ] || (umask 077 && echo '{}' >"$file")
known=false
if [ -n "${ANTHROPIC_API_KEY:-}${ANTHROPIC_AUTH_TOKEN:-}${CLAUDE_CODE_OAUTH_TOKEN:-}" ] ||
    [ -e "$HOME/.claude/.credentials.json" ]; then
    known=true
fi
umask 077
# It keeps the last 20 characters of keys that the user has approved. jq reads them from the environment, not from a
# command line that others could see.
jq --argjson known "$known" '
    .projects[$ENV.MNGR_AGENT_WORK_DIR].hasTrustDialogAccepted = true
    | if $known then .hasCompletedOnboarding = true else . end
    | if ($ENV.ANTHROPIC_API_KEY // "") == "" then . else
        .customApiKeyResponses.approved =
          ((.customApiKeyResponses.approved // []) + [$ENV.ANTHROPIC_API_KEY[-20:]] | unique)
      end' "$file" >"$file.mngr" && mv "$file.mngr" "$file"
