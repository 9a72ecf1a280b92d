#!/bin/sh
# Adds a line to the streams of events. usage: event.sh AGENT|- TYPE [KEY VALUE]...
# What is about one agent goes to its stream and to the host's; with - to the host's and those of all agents.
set -u
umask 077
host_dir=${MNGR_HOST_DIR:-/mngr}
agent=$1
type=$2
shift 2
pairs=$#
while [ "$pairs" -gt 0 ]; do
    key=$1
    value=$2
    shift 2
    case $value in
        '') ;;
        *[!0-9]* | 0?*) set -- "$@" --arg "$key" "$value" ;;
        *) set -- "$@" --argjson "$key" "$value" ;;
    esac
    pairs=$((pairs - 2))
done
[ "$agent" = - ] || set -- --arg agent "$agent" "$@"
# shellcheck disable=SC2016 # a variable of jq's
line=$(jq -nc --arg type "$type" "$@" '{time: now} + $ARGS.named') || exit 1
printf '%s\n' "$line" >>"$host_dir/events.jsonl"
for state in "$host_dir"/agents/*/; do
    [ "$agent" != - ] && [ "$(basename "$state")" != "$agent" ] && continue
    [ -e "$state/name" ] && printf '%s\n' "$line" >>"$state/events.jsonl"
done
exit 0
