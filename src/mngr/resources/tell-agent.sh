#!/bin/sh
# tell-agent.sh ID blocked|- [keys]: prints probe.sh's line of an agent and, if it can be told something as it is now,
# types what comes on standard input, as send-message.sh does; to one that asks for a permission only with blocked.
# It travels with the call.
set -u
scripts=/usr/local/lib/mngr
line=$(sh "$scripts/probe.sh" "$1")
printf '%s\n' "$line"
case $line in
    "$1 1 "*' blocked '*) [ "$2" = blocked ] || exit 0 ;;
    "$1 1 "*) ;;
    *) exit 0 ;;
esac
exec sh "$scripts/send-message.sh" "$1" ${3:+"$3"}
