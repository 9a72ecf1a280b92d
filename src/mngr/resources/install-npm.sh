#!/bin/sh
# Installs programs from npm:
#   install-npm.sh node                             Node and npm, the distribution's
#   install-npm.sh newer-node MAJOR                 a Node of at least that major version
#   install-npm.sh package NAME VERSION PROGRAM     a package, unless the program is there already
set -eu

fail() {
    echo "mngr: $1" >&2
    exit 1
}

install_node() {
    if ! command -v npm >/dev/null 2>&1; then
        if command -v apt-get >/dev/null 2>&1; then
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -qq || fail 'apt-get update failed, so nodejs and npm are missing'
            apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null ||
                fail 'nodejs and npm are missing and could not be installed'
            rm -rf /var/lib/apt/lists/*
        elif command -v apk >/dev/null 2>&1; then
            apk add --no-cache --quiet nodejs npm || fail 'nodejs and npm are missing and could not be installed'
        elif command -v dnf >/dev/null 2>&1; then
            dnf install -y -q nodejs npm >/dev/null || fail 'nodejs and npm are missing and could not be installed'
        else
            fail 'npm is missing, and the image has none of apt-get, apk and dnf'
        fi
    fi
}

install_newer_node() {
    major=$(node --version | sed 's/^v//; s/\..*//')
    if [ "$major" -lt "$1" ]; then
        # Debian 12 has Node 18. The package "node" of npm brings the program itself.
        npm install -g --no-fund --no-audit --loglevel=error node@22 || fail "Node $1 could not be installed"
    fi
}

install_package() {
    command -v "$3" >/dev/null 2>&1 && return
    npm install -g --no-fund --no-audit --loglevel=error "$1@$2" || fail "$1 could not be installed"
    rm -rf "$HOME/.npm" /tmp/node-compile-cache
    command -v "$3" >/dev/null 2>&1 || fail "$1 has no program $3"
}

case $1 in
    node) install_node ;;
    newer-node) install_newer_node "$2" ;;
    package) install_package "$2" "$3" "$4" ;;
    *) fail "not understood: $1" ;;
esac
