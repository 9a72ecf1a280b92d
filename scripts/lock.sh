#!/bin/sh
# Writes requirements.lock (what mngr needs) and requirements-dev.lock (that and the checkers), hashes included.
# A lock in this format names no registry, so whichever one a machine is set up with is used.
set -eu
cd "$(dirname "$0")/.."
header='# made by scripts/lock.sh from pyproject.toml'
compile() {
    out=$1
    shift
    uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-annotate --quiet --upgrade "$@" >"$out.new"
    { echo "$header"; grep -v '^--' "$out.new"; } >"$out"
    rm "$out.new"
}
compile requirements.lock
compile requirements-dev.lock --group dev
