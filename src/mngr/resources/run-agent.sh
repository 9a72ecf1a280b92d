#!/bin/sh
# What runs in an agent's terminal: its command, in its environment; its exit code is written down.
host_dir=${MNGR_HOST_DIR:-/mngr}
state="$host_dir/agents/$1"
# shellcheck disable=SC1091 # made when the host started
. /run/mngr/environment
# shellcheck disable=SC1091 # made when the agent was
. "$state/env"
cd "$MNGR_AGENT_WORK_DIR" || exit 1
# Without a character set programs would show and take only ASCII.
[ -n "${LANG:-}${LC_ALL:-}${LC_CTYPE:-}" ] || export LANG=C.UTF-8
rm -f "$state/doing" "$state/shell"
# What the type of agent needs done before each start.
[ ! -e "$state/before" ] || sh "$state/before"
# How often the kernel has ended a process of the host because memory ran out; nothing where it does not say.
out_of_memory() {
    cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null | sed -n 's/^oom_kill //p'
}
rm -f "$state/out_of_memory"
before=$(out_of_memory)
# The end of the host and the keys of the terminal are the command's to handle; this shell stays to write down how it
# went.
trap : TERM INT QUIT
sh -c "$(cat "$state/command")"
code=$?
# Nor are the programs that write it down told to end, however long they take.
trap '' TERM INT QUIT
if [ "$code" = 137 ] && [ "$(out_of_memory)" != "$before" ]; then : >"$state/out_of_memory"; fi
echo "$code" >"$state/exit_code"
rm -f "$state/autostart"
sh "$(dirname "$0")/event.sh" "$1" exited code "$code"
exit "$code"
