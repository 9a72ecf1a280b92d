#!/bin/sh
# Claude Code's hooks call this with what just happened, and JSON about it on standard input. What the agent is doing
# goes into its state folder, and where its transcript is. It prints nothing: that would go into the conversation.
state=${MNGR_AGENT_STATE_DIR:-}
[ -d "$state" ] || exit 0
input=$(cat)
field() { printf '%s' "$input" | jq -r "$1 // empty" 2>/dev/null; }

now=$1
case $now in
    tool)
        # These tools put a question to the user and end when it is answered.
        case $(field .tool_name) in
            AskUserQuestion) now=waiting ;;
            ExitPlanMode) now=blocked ;;
            *) now=working ;;
        esac
        ;;
    notification)
        case $(field .notification_type)$(field .message) in
            permission_prompt* | *'permission'*) now=blocked ;;
            idle_prompt* | *'waiting for your input'*) now=waiting ;;
            *) exit 0 ;;
        esac
        ;;
esac
transcript=$(field .transcript_path)
[ -z "$transcript" ] || printf '%s\n' "$transcript" >"$state/transcript"
before=$(cat "$state/doing" 2>/dev/null)
printf '%s\n' "$now" >"$state/doing.$$" && mv "$state/doing.$$" "$state/doing"
[ "$before" = "$now" ] || sh "$(dirname "$0")/event.sh" "$MNGR_AGENT_ID" state state "$now" >/dev/null 2>&1
