#!/bin/sh
# Notes each second how far each log of the host has come, so that one can be read from a moment on: in LOG.times a line
# "TIME PLACE" says that all up to the place was written before the time. usage: log-times.sh loop | once
set -u
umask 077
host_dir=${MNGR_HOST_DIR:-/mngr}
# shellcheck source=src/mngr/resources/log-lib.sh
. "$(dirname "$0")/log-lib.sh"
# Older lines are thinned out beyond so many, so that a log that never rests does not grow another beside it.
most=4000
newline='
'

# How long each log is; with its inode, since one that was set aside may be followed by one of the same size.
lengths() {
    stat -c '%i %s %n' "$host_dir"/agents/*/output.log "$host_dir"/agents/*/events.jsonl "$host_dir"/events.jsonl \
        "$host_dir"/logs/*.log 2>/dev/null
}

# note TIME INODE SIZE LOG: a log that has the size, at a time that is not before that.
note() {
    log=$4
    find_start
    # It may have been set aside meanwhile, and the start be that of the next; then the next round sees it.
    [ "$(stat -c %i "$log" 2>/dev/null)" = "$2" ] || return 0
    echo "$1 $((start + $3))" >>"$log.times"
}

# Whether a log was written since the last round began. Some shells compare whole seconds, so one that is as old counts.
written() {
    for log in "$host_dir"/agents/*/output.log "$host_dir"/agents/*/events.jsonl "$host_dir"/events.jsonl \
        "$host_dir"/logs/*.log; do
        # shellcheck disable=SC3013 # POSIX has it since 2024; for a shell that has not, all were written
        [ ! -e "$log" ] || [ "$stamp" -nt "$log" ] 2>/dev/null || return 0
    done
    return 1
}

round() {
    now=$(lengths)
    [ "$now" = "$before" ] && return
    # A second has begun already, and its number is that of its beginning.
    time=$(($(date +%s) + 1))
    rest=$now$newline
    while [ -n "$rest" ]; do
        line=${rest%%"$newline"*}
        rest=${rest#*"$newline"}
        case $newline$before$newline in *"$newline$line$newline"*) continue ;; esac
        # shellcheck disable=SC2086 # inode, size and a path of ours, without spaces
        [ -z "$line" ] || note "$time" $line
    done
    before=$now
}

thin() {
    for times in "$host_dir"/agents/*/*.times "$host_dir"/*.times "$host_dir"/logs/*.times; do
        [ -e "$times" ] || continue
        [ "$(wc -l <"$times")" -gt "$most" ] || continue
        # Of the older half every second line.
        { head -n $((most / 2)) "$times" | sed 'n;d' && tail -n +$((most / 2 + 1)) "$times"; } >"$times.thin" &&
            mv "$times.thin" "$times"
    done
}

before=''
case $1 in
    once) round ;;
    loop)
        seconds=0
        stamp=/run/mngr/log-times
        : >"$stamp"
        round
        while :; do
            # Most of the time nothing was, and then no program is started.
            if written; then
                : >"$stamp"
                round
            fi
            seconds=$((seconds + 1))
            if [ "$seconds" -ge 600 ]; then
                thin
                seconds=0
            fi
            sleep 1
        done
        ;;
esac
