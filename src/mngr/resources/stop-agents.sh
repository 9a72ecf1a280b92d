#!/bin/sh
# Ends the agents of a host that is about to end: SIGTERM to every program in their terminals, after a grace time
# SIGKILL. They come back when the host starts again.
set -u

host_dir=${MNGR_HOST_DIR:-/mngr}
grace_tenths=50

session_of() { sed 's/.*) //' "$1/stat" 2>/dev/null | cut -d' ' -f4; }

panes=''
for state in "$host_dir"/agents/*/; do
    [ -e "$state/autostart" ] || continue
    pane=$(tmux list-panes -t "=mngr-$(cat "$state/name"):" -F '#{pane_pid}' 2>/dev/null | head -n 1)
    [ -n "$pane" ] || continue
    panes="$panes $pane"
    : >"$state/ended-by-host"
done
for process in /proc/[0-9]*; do
    case " $panes " in
        *" $(session_of "$process") "*) kill -TERM "${process#/proc/}" 2>/dev/null ;;
    esac
done
waited=0
for pane in $panes; do
    while kill -0 "$pane" 2>/dev/null && [ "$waited" -lt "$grace_tenths" ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    kill -KILL "$pane" 2>/dev/null
done
for state in "$host_dir"/agents/*/; do
    [ -e "$state/ended-by-host" ] || continue
    : >"$state/autostart"
    rm -f "$state/ended-by-host"
done
exit 0
