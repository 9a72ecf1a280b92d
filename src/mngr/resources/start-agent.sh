#!/bin/sh
# Starts one agent in its tmux session. Everything about it is in its state folder:
#   name, work_dir, command   one line each     env   what it gets beside the host's environment (0600)
# A second call while it runs does nothing.
set -eu

host_dir=${MNGR_HOST_DIR:-/mngr}
state="$host_dir/agents/$1"
name=$(cat "$state/name")
session="mngr-$name"

# A host that begins starts its agents itself, and whoever started it may ask for the same at that moment.
if command -v flock >/dev/null 2>&1; then
    exec 9>"/run/mngr/starting.$1"
    flock 9
fi
if tmux has-session -t "=$session" 2>/dev/null; then
    [ "$(tmux list-panes -t "=$session:" -F '#{pane_dead}' | head -n 1)" = 1 ] || exit 0
    tmux kill-session -t "=$session"
fi
rm -f "$state/exit_code"
: >"$state/autostart"
: >"$state/started"
here=$(dirname "$0")
if [ ! -e "$state/created" ]; then
    : >"$state/created"
    sh "$here/event.sh" "$1" created
    echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) agent $name ($1) is in $(cat "$state/work_dir")" >>"$host_dir/logs/provision.log"
fi
sh "$here/event.sh" "$1" started
work_dir=$(cat "$state/work_dir")
mkdir -p "$work_dir"
# The options come before the session, so that the last words of a short command stay on the screen; the log is begun
# before tmux reads the program's first byte.
tmux -f /dev/null start-server \; set-option -g remain-on-exit on \; set-option -g history-limit 50000 \; \
    set-option -gq remain-on-exit-format '' \; \
    new-session -d -s "$session" -x 200 -y 50 -c "$work_dir" "exec sh $here/run-agent.sh $1" \; \
    pipe-pane -t "=$session:" "exec sh $here/log-writer.sh $state/output.log" 9>&-
# Whatever happens to the host from now on, its snapshots hold what it takes to start the agent.
sh "$here/sync.sh" once >/dev/null 2>&1 9>&- &
