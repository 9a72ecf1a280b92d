#!/bin/sh
# Installs what an image lacks of the programs that mngr needs, by whichever package manager it has.
# Does nothing where all are there.
set -eu

missing=''
need() { command -v "$1" >/dev/null 2>&1 || [ -x "$2" ] || missing="$missing $3"; }
need sshd /usr/sbin/sshd openssh-server
need tmux /usr/bin/tmux tmux
need curl /usr/bin/curl curl
need rsync /usr/bin/rsync rsync
need git /usr/bin/git git
need jq /usr/bin/jq jq
[ -e /etc/ssl/certs/ca-certificates.crt ] || [ -e /etc/pki/tls/certs/ca-bundle.crt ] ||
    [ -e /etc/ssl/cert.pem ] || missing="$missing ca-certificates"
[ -n "$missing" ] || exit 0

echo "mngr: installing$missing"
fail() {
    echo "mngr: these packages are missing and could not be installed:$missing ($1)" >&2
    exit 1
}
# shellcheck disable=SC2086 # a list of words
if command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || fail 'apt-get update failed'
    apt-get install -y -qq --no-install-recommends $missing >/dev/null || fail 'apt-get install failed'
    rm -rf /var/lib/apt/lists/*
elif command -v apk >/dev/null 2>&1; then
    apk add --no-cache --quiet $missing || fail 'apk add failed'
elif command -v microdnf >/dev/null 2>&1; then
    microdnf install -y $missing >/dev/null || fail 'microdnf install failed'
    microdnf clean all >/dev/null
elif command -v dnf >/dev/null 2>&1; then
    dnf install -y -q $missing >/dev/null || fail 'dnf install failed'
    dnf clean all >/dev/null
else
    fail 'the image has none of apt-get, apk, dnf and microdnf'
fi
# Packages make host keys of their own; every host gets its own at its start instead.
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
