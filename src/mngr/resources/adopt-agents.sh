#!/bin/sh
# Makes a host that came from another's snapshot its own: of the agents in it only OLD stays, under the id NEW, or with
# afresh only its work folder. The work folders stay as they are.
# usage: adopt-agents.sh OLD NEW OLD-BRANCH NEW-BRANCH WORK-FOLDER kept|afresh
set -eu

host_dir=${MNGR_HOST_DIR:-/mngr}
for state in "$host_dir"/agents/*/; do
    [ -d "$state" ] || continue
    case $(basename "$state") in
        "$2") ;;
        "$1")
            [ -n "$2" ] && mv "$state" "$host_dir/agents/$2"
            # What was written so far is another agent's.
            rm -f "$host_dir/agents/$2"/output.log* "$host_dir/agents/$2"/events.jsonl* "$host_dir/agents/$2/created"
            ;;
        *) rm -rf "$state" ;;
    esac
done
rm -rf /var/lib/mngr/agents
if [ "${6:-kept}" = afresh ] && [ -n "$2" ]; then rm -rf "${host_dir:?}/agents/$2"; fi

# Its work goes on on a branch of its own.
if [ -n "$1" ] && [ -n "$2" ] && cd "$5" 2>/dev/null && [ "$(git symbolic-ref -q --short HEAD)" = "$3" ]; then
    # One that was there before is not taken over.
    git checkout --quiet -b "$4" || :
fi
exit 0
