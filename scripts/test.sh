#!/bin/sh
# The whole test run. Tests that need a server start one of their own.
# What measures what a server does runs alone; what a user types mostly waits, so three at a time share the machine.
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    exec .venv/bin/python -m pytest "$@"
fi
sh scripts/lint.sh
.venv/bin/python -m pytest -n 2 tests/unit
.venv/bin/python -m pytest tests/contract
# The longest files first, or one of them is left for the end.
exec .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests/chaos tests/e2e/test_secrets.py \
    tests/e2e/test_programs.py tests/e2e/test_lifecycle.py tests/e2e
