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
chmod 700 "$host_dir" "$run_dir"
log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$host_dir/logs/supervisor.log"; }

umask 077
printf '%s\n' "$MNGR_SSH_HOST_KEY" >"$run_dir/host_key"
printf '%s\n' "$MNGR_SSH_AUTHORIZED_KEY" >"$run_dir/authorized_keys"
cat >"$run_dir/policy" <<POLICY
idle_mode=$MNGR_IDLE_MODE
idle_timeout=$MNGR_IDLE_TIMEOUT_S
agents_gone=$MNGR_AGENTS_GONE_S
deadline=$(($(date +%s) + MNGR_END_AFTER_S))
POLICY
autostart=$MNGR_AUTOSTART
unset MNGR_SSH_HOST_KEY MNGR_SSH_AUTHORIZED_KEY MNGR_IDLE_MODE MNGR_IDLE_TIMEOUT_S MNGR_AGENTS_GONE_S \
    MNGR_END_AFTER_S MNGR_AUTOSTART

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
umask 022

sshd=$(command -v sshd || echo /usr/sbin/sshd)
# A locked root account is refused by some builds of sshd, with a key too.
sed -i 's|^root:[!*][!*]*:|root:x-no-password:|' /etc/shadow 2>/dev/null || true

control="$run_dir/control"
rm -f "$control"
mkfifo -m 600 "$control"

"$sshd" -D -e -f "$run_dir/sshd_config" >>"$host_dir/logs/sshd.log" 2>&1 &
log "started, sshd is process $!"

# Only those that the host's record still has; of another's snapshot there may be more.
for id in $autostart; do
    [ -e "$host_dir/agents/$id/autostart" ] || continue
    sh "$here/start-agent.sh" "$id" >>"$host_dir/logs/supervisor.log" 2>&1 && log "agent $id started again"
done

sh "$here/watch.sh" >>"$host_dir/logs/supervisor.log" 2>&1 &

stop() {
    log "ending: $2"
    trap '' TERM INT
    sh "$here/stop-agents.sh" >>"$host_dir/logs/supervisor.log" 2>&1
    sync
    log 'ended'
    exit "$1"
}
trap 'stop 0 "asked to by a signal"' TERM INT

# Whoever wants something of this program writes a line; opening both ways keeps the pipe from ending.
exec 3<>"$control"
while read -r order <&3; do
    case $order in
        stop) stop 0 'asked to' ;;
        idle) stop 20 'idle' ;;
        lifetime) stop 21 'its lifetime is nearly over' ;;
        gone) stop 22 'all agents have ended' ;;
        *) log "not understood: $order" ;;
    esac
done
