#!/bin/sh
# The first program of every sandbox: sshd, the agents that are to run, and a clean end.
# Keys come in the environment and are in nobody's environment afterwards.
set -u

host_dir=${MNGR_HOST_DIR:-/mngr}
here=$(dirname "$0")
mkdir -p "$host_dir/logs" "$host_dir/agents" "$host_dir/ssh" /run/sshd
chmod 700 "$host_dir" "$host_dir/ssh"
log() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$host_dir/logs/supervisor.log"; }

umask 077
printf '%s\n' "$MNGR_SSH_HOST_KEY" >"$host_dir/ssh/host_key"
printf '%s\n' "$MNGR_SSH_AUTHORIZED_KEY" >"$host_dir/ssh/authorized_keys"
unset MNGR_SSH_HOST_KEY MNGR_SSH_AUTHORIZED_KEY

# What the image and the user set is for agents and for `mngr exec` too; sshd itself passes nothing on.
export -p >"$host_dir/ssh/environment"

cat >"$host_dir/ssh/sshd_config" <<CONFIG
Port 22
HostKey $host_dir/ssh/host_key
AuthorizedKeysFile $host_dir/ssh/authorized_keys
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

control="$host_dir/control"
rm -f "$control"
mkfifo -m 600 "$control"

"$sshd" -D -e -f "$host_dir/ssh/sshd_config" >>"$host_dir/logs/sshd.log" 2>&1 &
sshd_pid=$!
log "started, sshd is process $sshd_pid"

for state in "$host_dir"/agents/*/; do
    [ -e "$state/autostart" ] || continue
    sh "$here/start-agent.sh" "$(basename "$state")" >>"$host_dir/logs/supervisor.log" 2>&1 &&
        log "agent $(basename "$state") started again"
done

stop() {
    log "ending: $1"
    trap '' TERM INT
    sh "$here/stop-agents.sh" >>"$host_dir/logs/supervisor.log" 2>&1
    sync
    log 'ended'
    exit 0
}
trap 'stop "asked to by a signal"' TERM INT

# Whoever wants something of this program writes a line; opening both ways keeps the pipe from ending.
exec 3<>"$control"
while read -r order <&3; do
    case $order in
        stop) stop 'asked to' ;;
        *) log "not understood: $order" ;;
    esac
done
