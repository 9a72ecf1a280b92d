#!/bin/sh
# Orders the host's end when it is idle, when all of its agents have ended, or when its lifetime is nearly over.
# The policy is read anew each time, so that it can be changed while the host runs.
set -u

host_dir=${MNGR_HOST_DIR:-/mngr}
run_dir=/run/mngr
booted=$(date +%s)
agents_seen=$booted
looked=0
idle_mode='' idle_timeout=0 agents_gone=0 deadline=0

newest=0
note() { [ -n "$1" ] && [ "$1" -gt "$newest" ] && newest=$1; }
note_files() {
    for file in "$@"; do
        note "$(stat -c %Y "$file" 2>/dev/null)"
    done
}

# Sets pid, comm and parent from a line of /proc/PID/stat; a name may hold spaces and brackets.
parse() {
    pid=${1%% *}
    comm=${1#*\(}
    comm=${comm%)*}
    # shellcheck disable=SC2086 # words on purpose
    set -- ${1##*) }
    parent=$2
}

# Whether somebody has a session: a program whose parent is sshd and that is not sshd's own. What mngr itself looks at
# the host with does not count, or a listing each minute would keep it awake.
ssh_session() {
    servers=' '
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" 2>/dev/null || continue
        parse "$line"
        case $comm in sshd*) servers="$servers$pid " ;; esac
    done 2>/dev/null
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" 2>/dev/null || continue
        parse "$line"
        case $servers in *" $parent "*) ;; *) continue ;; esac
        case $comm in sshd*) continue ;; esac
        case $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) in
            *"/probe.sh"* | *"/read-log.sh"* | '') ;;
            *) return 0 ;;
        esac
    done 2>/dev/null
    return 1
}

attached() { [ -n "$(tmux list-clients -F x 2>/dev/null)" ]; }

agent_alive() { tmux list-panes -a -F '#{pane_dead}' 2>/dev/null | grep -q 0; }

has_agents() {
    for state in "$host_dir"/agents/*/; do
        [ -e "$state/started" ] && return 0
    done
    return 1
}

# Sets newest to the time of the last activity that the mode counts.
look() {
    now=$1
    newest=$booted
    attached && note "$now"
    case $idle_mode in
        io | user | agent | ssh | create | start | run) note_files "$host_dir"/agents/*/created ;;
    esac
    case $idle_mode in
        io | user | agent | ssh | start | run) note_files "$host_dir"/agents/*/started ;;
    esac
    case $idle_mode in
        io | user)
            note_files "$host_dir"/agents/*/activity/user
            for time in $(tmux list-clients -F '#{client_activity}' 2>/dev/null); do note "$time"; done
            ;;
    esac
    case $idle_mode in
        io | agent)
            for time in $(tmux list-windows -a -F '#{window_activity}' 2>/dev/null); do note "$time"; done
            ;;
    esac
    case $idle_mode in
        io | user | agent | ssh) ssh_session && note "$now" ;;
        run) agent_alive && note "$now" ;;
    esac
}

order() { echo "$1" >"$run_dir/control"; }

while :; do
    # shellcheck disable=SC1091 # written by the supervisor
    . "$run_dir/policy"
    left=$((deadline - $(date +%s)))
    pause=5
    [ "$left" -lt "$pause" ] && pause=$left
    [ "$idle_timeout" -lt 20 ] && pause=1
    [ "$agents_gone" -lt 20 ] && pause=1
    [ "$pause" -gt 0 ] && sleep "$pause"
    now=$(date +%s)
    if [ "$now" -ge "$deadline" ]; then
        order lifetime
        exit 0
    fi
    [ "$idle_mode" = disabled ] && continue
    if agent_alive || attached || ssh_session || ! has_agents; then
        agents_seen=$now
    elif [ $((now - agents_seen)) -ge "$agents_gone" ]; then
        order gone
        exit 0
    fi
    # Ten looks in the time that it may be idle are enough, and one in fifteen seconds.
    every=$((idle_timeout / 10))
    [ "$every" -lt 15 ] || every=15
    [ $((now - looked)) -ge "$every" ] || [ $((now - newest)) -ge "$idle_timeout" ] || continue
    looked=$now
    look "$now"
    if [ $((now - newest)) -ge "$idle_timeout" ]; then
        order idle
        exit 0
    fi
done
