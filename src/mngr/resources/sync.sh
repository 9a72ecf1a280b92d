#!/bin/sh
# Writes down how the host is, and makes what it holds safe: the host volume is committed, and what an agent needs to be
# started is copied to the host's own disk, where snapshots find it. usage: sync.sh loop SECONDS | once | end REASON
set -u
umask 077
host_dir=${MNGR_HOST_DIR:-/mngr}
kept=/var/lib/mngr/agents

agents() {
    comma=''
    for state in "$host_dir"/agents/*/; do
        [ -e "$state/name" ] || continue
        running=false
        [ -e "$state/autostart" ] && [ ! -e "$state/exit_code" ] && running=true
        code=$(cat "$state/exit_code" 2>/dev/null || echo null)
        printf '%s"%s":{"running":%s,"exit_code":%s}' "$comma" "$(basename "$state")" "$running" "${code:-null}"
        comma=,
    done
}

# newest STATE: the newest file of those that the type of an agent names as its conversations, by globs for the shell.
newest() (
    [ -s "$1/transcripts" ] || exit
    # shellcheck disable=SC1091 # made when the host started
    . /run/mngr/environment
    # shellcheck disable=SC1091 # made when the agent was
    . "$1/env"
    cd "$MNGR_AGENT_WORK_DIR" && eval "ls -t $(cat "$1/transcripts")" | head -n 1
)

# Conversations are where the agents' programs keep them; a copy is with what can be read when the host does not run.
transcripts() {
    for state in "$host_dir"/agents/*/; do
        file=$(cat "$state/transcript" 2>/dev/null || newest "$state" 2>/dev/null)
        [ ! -f "$file" ] || rsync -a "$file" "$state/transcript.jsonl"
    done
}

# Copies what an agent needs to be started to the host's own disk, unless nothing of it was written since the last time.
keep() {
    if [ -d "$kept" ] && [ -e /run/mngr/kept.newest ] &&
        changed=$(find "$host_dir/agents" -newer /run/mngr/kept.newest ! -name 'output.log*' ! -name 'events.jsonl*' \
            ! -name transcript.jsonl -print 2>/dev/null) && [ -z "$changed" ]; then
        return
    fi
    mkdir -p "$kept"
    # Some programs compare whole seconds, so what is as old as the stamp must be newer than it.
    next=/run/mngr/kept.next.$$
    touch -d "@$(($(date +%s) - 2))" "$next" 2>/dev/null || rm -f "$next"
    rsync -a --delete --exclude 'output.log*' --exclude 'events.jsonl*' --exclude transcript.jsonl \
        "$host_dir/agents/" "$kept/" && mv "$next" /run/mngr/kept.newest 2>/dev/null
}

once() {
    transcripts
    printf '{"time":%s,"boot":"%s","ended":%s,"agents":{%s}}\n' "$(date +%s)" "$(cat /run/mngr/boot)" "$1" "$(agents)" \
        >"$host_dir/.status.$$" && mv "$host_dir/.status.$$" "$host_dir/status.json"
    keep
    # On a volume of version 2 this commits it (https://modal.com/docs/guide/volumes).
    sync "$host_dir"
}

case $1 in
    loop)
        # Whoever ends it waits for it: what it is at must not come after what is written at the host's end.
        trap exit TERM
        while :; do
            once false
            sleep "$2" &
            wait $!
        done
        ;;
    once) once false ;;
    end) once true ;;
esac
