#!/bin/sh
# The first program of every sandbox: sshd, the agents that are to run, the watch over time, and a clean end.
# Keys come in the environment and are in nobody's environment afterwards. It ends with the code of the order that ended
# it, which is how every machine of the account can tell why:
#   0 stop   20 idle   21 lifetime   22 all agents gone
set -u

host_dir=${MNGR_HOST_DIR:-/mngr}
run_dir=/run/mngr
here=$(dirname "$0")
mkdir -p "$host_dir/logs" "$host_dir/agents" "$run_dir" /run/sshd
chmod 700 "$host_dir" "$host_dir/logs" "$host_dir/agents" "$run_dir"
log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$host_dir/logs/supervisor.log"; }

umask 077
printf '%s\n' "$MNGR_SSH_HOST_KEY" >"$run_dir/host_key"
printf '%s\n' "$MNGR_SSH_AUTHORIZED_KEY" >"$run_dir/authorized_keys"
cat >"$run_dir/policy" <<POLICY
idle_mode=$MNGR_IDLE_MODE
idle_timeout=$MNGR_IDLE_TIMEOUT_S
agents_gone=$MNGR_AGENTS_GONE_S
deadline=$(($(date +%s) + MNGR_END_AFTER_S))
log_max_mb=$MNGR_LOG_MAX_MB
POLICY
autostart=$MNGR_AUTOSTART
sync_every=$MNGR_SYNC_S
last_end=$MNGR_LAST_END
unset MNGR_SSH_HOST_KEY MNGR_SSH_AUTHORIZED_KEY MNGR_IDLE_MODE MNGR_IDLE_TIMEOUT_S MNGR_AGENTS_GONE_S \
    MNGR_END_AFTER_S MNGR_AUTOSTART MNGR_SYNC_S MNGR_LAST_END MNGR_LOG_MAX_MB

# What a snapshot of another host holds of that one's own is not this one's.
if [ "$(cat "$host_dir/host_id" 2>/dev/null)" != "$MNGR_HOST_ID" ]; then
    rm -rf "$host_dir"/logs/* "$host_dir"/events.jsonl* "$host_dir/status.json"
    echo "$MNGR_HOST_ID" >"$host_dir/host_id"
fi
# A volume that is empty, and a snapshot whose host had one: what its agents need is on the disk.
if [ -d /var/lib/mngr/agents ] && [ -z "$(ls -A "$host_dir/agents")" ]; then
    cp -a /var/lib/mngr/agents/. "$host_dir/agents/"
fi
# Where the parts of this boot begin, for readers that were at it when the last one ended.
od -An -N8 -tx1 /dev/urandom | tr -d ' \n' >"$run_dir/boot"
# shellcheck source=src/mngr/resources/log-lib.sh
. "$here/log-lib.sh"
for log in "$host_dir"/events.jsonl "$host_dir"/agents/*/events.jsonl "$host_dir"/logs/supervisor.log \
    "$host_dir"/logs/watch.log "$host_dir"/logs/sync.log "$host_dir"/logs/provision.log; do
    case $log in *\**) ;; *) note_boot ;; esac
done
case $(cat "$host_dir/status.json" 2>/dev/null) in
    *'"ended":false'*) sh "$here/event.sh" - ended reason "${last_end:-without a word}" ;;
esac
sh "$here/event.sh" - booted

# What the image and the user set is for agents and for `mngr exec` too; sshd itself passes nothing on.
export -p >"$run_dir/environment"

cat >"$run_dir/sshd_config" <<CONFIG
Port 22
HostKey $run_dir/host_key
AuthorizedKeysFile $run_dir/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
PrintMotd no
UseDNS no
PidFile none
MaxStartups 200:30:400
MaxSessions 200
AcceptEnv LANG LC_* COLORTERM
Subsystem sftp internal-sftp
CONFIG

sshd=$(command -v sshd || echo /usr/sbin/sshd)
# A locked root account is refused by some builds of sshd, with a key too.
sed -i 's|^root:[!*][!*]*:|root:x-no-password:|' /etc/shadow 2>/dev/null || true

control="$run_dir/control"
rm -f "$control" "$run_dir"/kept.*
mkfifo -m 600 "$control"

(umask 022 && exec "$sshd" -D -e -f "$run_dir/sshd_config") 2>&1 | sh "$here/log-writer.sh" "$host_dir/logs/sshd.log" &
log 'started'

# Only those that the host's record still has; of another's snapshot there may be more.
for id in $autostart; do
    [ -e "$host_dir/agents/$id/autostart" ] || continue
    (umask 022 && sh "$here/start-agent.sh" "$id") >>"$host_dir/logs/supervisor.log" 2>&1 && log "agent $id started again"
done

sh "$here/watch.sh" >>"$host_dir/logs/watch.log" 2>&1 &
sh "$here/log-times.sh" loop &
sync_loop=''
if [ "$sync_every" != 0 ]; then
    sh "$here/sync.sh" loop "$sync_every" >>"$host_dir/logs/sync.log" 2>&1 &
    sync_loop=$!
fi

# What agents wrote last is on its way through tmux into their logs.
until_logs_rest() {
    tries=0
    before=''
    while [ "$tries" -lt 20 ]; do
        now=$(ls -l "$host_dir"/agents/*/output.log 2>/dev/null)
        [ "$now" = "$before" ] && return
        before=$now
        tries=$((tries + 1))
        sleep 0.1
    done
}

stop() {
    log "ending: $2"
    trap '' TERM INT
    sh "$here/stop-agents.sh" >>"$host_dir/logs/supervisor.log" 2>&1
    until_logs_rest
    sh "$here/log-times.sh" once
    [ "$1" != 20 ] || sh "$here/event.sh" - idle
    sh "$here/event.sh" - stopped reason "$2"
    log 'ended'
    [ -z "$sync_loop" ] || { kill "$sync_loop" && wait "$sync_loop"; } 2>/dev/null
    sh "$here/sync.sh" end >>"$host_dir/logs/sync.log" 2>&1
    sync
    exit "$1"
}
trap 'stop 0 "terminated from outside of mngr"' TERM INT

# Whoever wants something of this program writes a line; opening both ways keeps the pipe from ending.
exec 3<>"$control"
while read -r order <&3; do
    case $order in
        stop) stop 0 'stopped by user' ;;
        idle) stop 20 'idle' ;;
        lifetime) stop 21 'its lifetime is nearly over' ;;
        gone) stop 22 'all agents have ended' ;;
        *) log "not understood: $order" ;;
    esac
done
