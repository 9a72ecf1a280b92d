#!/bin/sh
# What runs in an agent's terminal: its command, in its environment; its exit code is written down.
host_dir=${MNGR_HOST_DIR:-/mngr}
state="$host_dir/agents/$1"
# shellcheck disable=SC1091 # made when the host started
. /run/mngr/environment
# shellcheck disable=SC1091 # made when the agent was
. "$state/env"
cd "$MNGR_AGENT_WORK_DIR" || exit 1
# The end of the host is the command's to handle; this shell stays to write down how it went.
trap : TERM
sh -c "$(cat "$state/command")"
code=$?
echo "$code" >"$state/exit_code"
rm -f "$state/autostart"
sh "$(dirname "$0")/event.sh" "$1" exited code "$code"
exit "$code"
