#!/bin/sh
# Appends what it reads to a log that it keeps small: four older parts and the present one, together log_max_mb of the
# policy; the oldest part goes first. Every write is on disk at once. usage: log-writer.sh LOG
set -u
umask 077
log=$1
block=65536
# shellcheck source=src/mngr/resources/log-lib.sh
. "$(dirname "$0")/log-lib.sh"
# shellcheck disable=SC1091 # written by the supervisor
. /run/mngr/policy
# A part is as large as one read more than this at most.
segment=$((${log_max_mb:-100} * 1048576 / 5 - block))

: >>"$log"
note_boot
size=$(size_of "$log")
while :; do
    # dd writes what one read gives it at once; head and cat either wait for a full buffer or know no limit.
    reads=$(((segment - size) / block))
    [ "$reads" -ge 1 ] || reads=1
    dd bs=$block count=$reads 2>/dev/null >>"$log"
    grown=$(size_of "$log")
    [ "$grown" -gt "$size" ] || exit 0
    size=$grown
    [ "$size" -ge "$segment" ] || continue
    find_start
    # Room is made first, so that there is never more than may be, whenever the host ends.
    set -- "$log".[0-9]*
    while [ $# -gt 3 ]; do
        rm -f "$1"
        shift
    done
    mv "$log" "$log.$(printf %015d "$start")"
    : >"$log"
    size=0
done
