#!/bin/sh
# Prints the state of all agents of the host: one line each: id, running (1 or 0), exit code or -, and oom
# where it ended because memory ran out, else -.
set -u
host_dir=${MNGR_HOST_DIR:-/mngr}
for state in "$host_dir"/agents/*/; do
    [ -e "$state/name" ] || continue
    dead=$(tmux list-panes -t "=mngr-$(cat "$state/name"):" -F '#{pane_dead}' 2>/dev/null | head -n 1)
    if [ "$dead" = 0 ]; then running=1; else running=0; fi
    if [ -e "$state/out_of_memory" ]; then why=oom; else why=-; fi
    echo "$(basename "$state") $running $(cat "$state/exit_code" 2>/dev/null || echo -) $why"
done
