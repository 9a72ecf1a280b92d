#!/bin/sh
# Prints a line "BOOT PLACE END" and then what a log holds from that place on; END is how far it had come by then.
# usage: read-log.sh LOG WHERE [follow]; WHERE is
#   all | tail:LINES | since:SECONDS | at:BOOT:PLACE   (place that was reached in that boot)
# With follow it waits for a log that is not there yet and goes on until its input ends; it ends with 3 when what comes next is gone already.
set -u
log=$1
where=$2
follow=${3:-}
# shellcheck source=src/mngr/resources/log-lib.sh
. "$(dirname "$0")/log-lib.sh"
boot=$(cat /run/mngr/boot)

if [ -n "$follow" ]; then
    # Whoever reads this holds our input open.
    exec 5<&0
    { cat <&5 >/dev/null 2>&1; kill $$ 2>/dev/null; } &
fi
told=''
if [ ! -e "$log" ]; then
    echo "$boot 0 0"
    told=1
    [ -n "$follow" ] || exit 0
    where=all
    while [ ! -e "$log" ]; do sleep 0.2; done
fi

first=''
for part in "$log".[0-9]*; do
    [ -e "$part" ] && first=$(place_of "$part") && break
done
find_start
size=$(size_of "$log")
end=$((start + size))
[ -n "$first" ] || first=$start

# What a boot wrote after its last commit was lost with it, and others wrote at the same places since.
reached() {
    at=${1#*:}
    found=1
    grep -q "^${1%%:*} " "$log.boots" 2>/dev/null && found=0
    while read -r name begun; do
        [ "$found" = 1 ] && [ "$begun" -lt "$at" ] && at=$begun
        [ "$name" = "${1%%:*}" ] && found=1
    done 2>/dev/null <"$log.boots"
    echo "$at"
}
case $where in
    all) at=$first ;;
    tail:*)
        lines=${where#*:}
        count=$(head -c "$size" "$log" | tail -n "$lines" | wc -lc)
        # shellcheck disable=SC2086 # two numbers
        set -- $count
        if [ "$1" -lt "$lines" ] && [ "$first" -lt "$start" ]; then
            set -- 0 "$({ cat "$log".[0-9]*; head -c "$size" "$log"; } | tail -n "$lines" | wc -c)"
        fi
        at=$((end - $2))
        ;;
    since:*)
        from=$(($(date +%s) - ${where#*:}))
        at=$first
        # One that is later and lower is of a boot that went on where the one before it had not committed.
        while read -r time place; do
            if [ "$time" -le "$from" ] || [ "$place" -lt "$at" ]; then at=$place; fi
        done 2>/dev/null <"$log.times"
        ;;
    at:*) at=$(reached "${where#at:}") ;;
    *) exit 2 ;;
esac
[ "$at" -ge "$first" ] || at=$first
[ "$at" -le "$end" ] || at=$end
[ -n "$told" ] || echo "$boot $at $end"

# Sets file and base: the part that holds the place $at.
find_part() {
    find_start
    file=$log
    base=$start
    for part in "$log".[0-9]*; do
        [ -e "$part" ] || continue
        begin=$(place_of "$part")
        if [ "$at" -ge "$begin" ] && [ "$at" -lt $((begin + $(size_of "$part"))) ]; then
            file=$part
            base=$begin
            return 0
        fi
    done
    [ "$at" -ge "$start" ]
}
while :; do
    find_part || exit 3
    exec 4<"$file" || continue
    is_present() {
        # shellcheck disable=SC3013 # dash and busybox have it
        [ "$log" -ef /proc/self/fd/4 ]
    }
    find_start
    if is_present && [ "$base" != "$start" ]; then continue; fi
    tail -c +$((at - base + 1)) <&4
    while [ -n "$follow" ] && is_present; do
        sleep 0.2
        cat <&4
    done
    if [ -z "$follow" ] && is_present; then exit 0; fi
    cat <&4
    at=$((base + $(size_of /proc/self/fd/4)))
done
