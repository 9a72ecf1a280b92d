#!/bin/sh
# Installs what this machine is missing: system packages, then .venv from the lock. A second run with nothing to do
# looks at file stamps only.
set -eu
cd "$(dirname "$0")/.."

packages='podman runc crun conmon catatonit netavark aardvark-dns iptables nftables iproute2 mmdebstrap openssh-client
openssh-server tmux git rsync jq curl ca-certificates shellcheck uidmap make python3 python3-venv procps util-linux'

# Ubuntu 24.04 and Debian 13 carry all of the names above; a release that drops one of the optional ones is no error.
optional='aardvark-dns crun'

missing=''
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        as_root=''
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root='sudo'
    else
        echo "setup: system packages are missing and this user can not install them; type:" >&2
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "setup: installing$missing" >&2
    $as_root apt-get update -qq
    wanted=''
    for package in $missing; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            wanted="$wanted $package"
        else
            case " $optional " in
                *" $package "*) ;;
                *) echo "setup: no package $package on this system" >&2; exit 1 ;;
            esac
        fi
    done
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $wanted >/dev/null
fi

stamp=.venv/.setup-stamp
inputs='requirements-dev.lock pyproject.toml scripts/setup.sh'
# shellcheck disable=SC2086 # a list of words
digest=$(cat $inputs | sha256sum | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

python=''
for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "setup: no Python 3.11 or newer with venv was found" >&2; exit 1; }

echo "setup: making .venv with $("$python" --version)" >&2
"$python" -m venv --clear .venv
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
# Compiled now, so that the first command a person types is as fast as the next.
.venv/bin/python -m compileall -q src .venv/lib >/dev/null 2>&1 || true
echo "$digest" >"$stamp"
