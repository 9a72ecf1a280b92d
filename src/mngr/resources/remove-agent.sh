#!/bin/sh
# Ends one agent and removes its state and its work folder. A second call does nothing.
set -u

host_dir=${MNGR_HOST_DIR:-/mngr}
state="$host_dir/agents/$1"
[ -d "$state" ] || exit 0
sh "$(dirname "$0")/stop-agents.sh" "$1"
work_dir=$(cat "$state/work_dir")
rm -rf "$state"
# Another agent may work in the same folder.
grep -qxFs -- "$work_dir" "$host_dir"/agents/*/work_dir || rm -rf "$work_dir"
