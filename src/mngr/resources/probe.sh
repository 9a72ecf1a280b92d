#!/bin/sh
# Prints the state of all agents of the host: one line each: id, running (1 or 0), exit code or -.
set -u
host_dir=${MNGR_HOST_DIR:-/mngr}
for state in "$host_dir"/agents/*/; do
    [ -e "$state/name" ] || continue
    dead=$(tmux list-panes -t "=mngr-$(cat "$state/name"):" -F '#{pane_dead}' 2>/dev/null | head -n 1)
    if [ "$dead" = 0 ]; then running=1; else running=0; fi
    echo "$(basename "$state") $running $(cat "$state/exit_code" 2>/dev/null || echo -)"
done
