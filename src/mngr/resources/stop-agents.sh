#!/bin/sh
# Ends agents: SIGTERM to every program in their terminals, after a grace time SIGKILL.
# Without arguments all of a host that is about to end; they come back when the host starts again. With the ids of some,
# those, and they stay stopped.
set -u

host_dir=${MNGR_HOST_DIR:-/mngr}
# Most end at once, so the first looks follow closely; then ten a second, for five seconds.
quick_looks=10
looks=60

# Sets status and session from a line of /proc/PID/stat; a name may hold spaces and brackets.
parse() {
    # shellcheck disable=SC2086 # words on purpose
    set -- ${1##*) }
    status=$1
    session=$4
}

# Whether a program has not ended. One that has stays a zombie where tmux (3.3a) has missed the signal that tells it so,
# until another of its children ends; signals reach it as if it lived.
lives() {
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    parse "$line"
    [ "$status" != Z ]
}

told=' '
# Tells every program in the terminals to end, each once: what a second signal means is a program's own affair.
tell() {
    for process in /proc/[0-9]*; do
        read -r line <"$process/stat" || continue
        parse "$line"
        case "$panes " in *" $session "*) ;; *) continue ;; esac
        pid=${process#/proc/}
        case $told in *" $pid "*) continue ;; esac
        told="$told$pid "
        kill -TERM "$pid"
    done 2>/dev/null
}

if [ $# -eq 0 ]; then
    whole_host=1
    for state in "$host_dir"/agents/*/; do
        [ -e "$state/autostart" ] && set -- "$@" "$(basename "$state")"
    done
else
    whole_host=0
fi

panes=''
for id in "$@"; do
    pane=$(tmux list-panes -t "=mngr-$(cat "$host_dir/agents/$id/name"):" -F '#{pane_pid}' 2>/dev/null | head -n 1)
    [ -n "$pane" ] && panes="$panes $pane"
done
[ -z "$panes" ] || tell
looked=0
for pane in $panes; do
    while lives "$pane" && [ "$looked" -lt "$looks" ]; do
        if [ "$looked" -lt "$quick_looks" ]; then sleep 0.02; else sleep 0.1; fi
        looked=$((looked + 1))
        # One that was just being started has begun its command meanwhile.
        tell
    done
    kill -KILL "$pane" 2>/dev/null
done
for id in "$@"; do
    # Whoever ended by our signal wrote down an exit code; it did not end by itself.
    rm -f "$host_dir/agents/$id/exit_code"
    if [ "$whole_host" = 1 ]; then
        : >"$host_dir/agents/$id/autostart"
    else
        rm -f "$host_dir/agents/$id/autostart"
        tmux kill-session -t "=mngr-$(cat "$host_dir/agents/$id/name")" 2>/dev/null
        sh "$(dirname "$0")/event.sh" "$id" stopped
    fi
done
exit 0
