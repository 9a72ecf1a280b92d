#!/bin/sh
# wait-agent.sh ID SECONDS STATE…: waits until an agent's state (of probe.sh, done for one that has ended) is one of
# those in two looks one after the other, or the time is over; prints probe.sh's last line.
set -u
id=$1
deadline=$(($(date +%s) + $2))
shift 2
here=$(dirname "$0")
before=''
while :; do
    line=$(sh "$here/probe.sh" "$id")
    running=$(echo "$line" | cut -d' ' -f2)
    if [ "$running" = 1 ]; then now=$(echo "$line" | cut -d' ' -f5); else now='done'; fi
    case " $* " in
        *" $now "*) [ "$now" = "$before" ] && break ;;
    esac
    [ "$(date +%s)" -lt "$deadline" ] || break
    before=$now
    sleep 0.25
done
echo "$line"
