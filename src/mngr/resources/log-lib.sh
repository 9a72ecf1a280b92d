#!/bin/sh
# What the scripts share that know how a log lies on disk. Sourced, with $log set.
#   LOG                  what was written last
#   LOG.000000012345678  an older part, named by the place of its first byte among all that was ever written
#   LOG.boots            a line for each boot in which it was written to: the boot, the place where it began
#   LOG.times            lines of a time and a place: what is before the place was written before the time
log=${log:-}

size_of() { stat -L -c %s "$1" 2>/dev/null || echo 0; }

# The place in a part's name. The 1 in front keeps the shell from reading it as octal.
place_of() { echo $((1${1##*.} - 1000000000000000)); }

# Sets start to the place of the first byte of $log itself.
find_start() {
    last_part=''
    for part in "$log".[0-9]*; do
        [ -e "$part" ] && last_part=$part
    done
    start=0
    [ -z "$last_part" ] || start=$(($(place_of "$last_part") + $(size_of "$last_part")))
}

# Notes where this boot's part of $log begins, once.
note_boot() {
    boot=$(cat /run/mngr/boot)
    known=$(tail -n 1 "$log.boots" 2>/dev/null)
    [ "${known%% *}" = "$boot" ] && return
    find_start
    begun=$((start + $(size_of "$log")))
    echo "$boot $begun" >>"$log.boots"
    # What comes now is of now, also where the last boot noted places that were never committed.
    echo "$(($(date +%s) + 1)) $begun" >>"$log.times"
}
