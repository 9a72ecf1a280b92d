#!/bin/sh
# Notes how far each log of the host has come by now, so that one can be read from a moment on.
set -u
umask 077
host_dir=${MNGR_HOST_DIR:-/mngr}
# shellcheck source=src/mngr/resources/log-lib.sh
. "$(dirname "$0")/log-lib.sh"
now=$(date +%s)
for log in "$host_dir"/agents/*/output.log "$host_dir"/logs/*.log; do
    [ -e "$log" ] || continue
    find_start
    end=$((start + $(size_of "$log")))
    known=$(tail -n 1 "$log.times" 2>/dev/null)
    [ "${known#* }" = "$end" ] || echo "$now $end" >>"$log.times"
done
