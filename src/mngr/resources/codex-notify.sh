#!/bin/sh
# Codex calls this at the end of a turn, with JSON about it as the argument.
state=${MNGR_AGENT_STATE_DIR:-}
[ -d "$state" ] || exit 0
case $(printf '%s' "$1" | jq -r '.type // empty' 2>/dev/null) in
    agent-turn-complete) now=waiting ;;
    approval-requested) now=blocked ;;
    *) exit 0 ;;
esac
thread=$(printf '%s' "$1" | jq -r '."thread-id" // empty')
for file in "${CODEX_HOME:-$HOME/.codex}"/sessions/*/*/*/rollout-*"$thread".jsonl; do
    [ -z "$thread" ] || [ ! -e "$file" ] || printf '%s\n' "$file" >"$state/transcript"
done
before=$(cat "$state/doing" 2>/dev/null)
printf '%s\n' "$now" >"$state/doing.$$" && mv "$state/doing.$$" "$state/doing"
[ "$before" = "$now" ] || sh "$(dirname "$0")/event.sh" "$MNGR_AGENT_ID" state state "$now" >/dev/null 2>&1
