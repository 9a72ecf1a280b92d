#!/bin/sh
# The whole test run. Tests that need a server start one of their own.
set -eu
cd "$(dirname "$0")/.."
sh scripts/lint.sh
exec .venv/bin/python -m pytest "$@"
