#!/bin/sh
# Writes requirements.lock (what mngr needs), requirements-dev.lock (that and the checkers) and requirements-bench.lock
# (what draws the bench's plots, and nothing else), hashes included.
# A lock in this format names no registry, so whichever one a machine is set up with is used.
set -eu
cd "$(dirname "$0")/.."
header='# made by scripts/lock.sh from pyproject.toml'
compile() {
    out=$1
    shift
    uv pip compile "$@" --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-annotate --quiet --upgrade >"$out.new"
    { echo "$header"; grep -v '^--' "$out.new"; } >"$out"
    rm "$out.new"
}
compile requirements.lock pyproject.toml
compile requirements-dev.lock pyproject.toml --group dev
compile requirements-bench.lock --group bench
