#!/bin/sh
# Every check that runs no code of ours: format, lint, types, layers, shell.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/ruff format --check src tests scripts bench
.venv/bin/ruff check src tests scripts bench
.venv/bin/mypy
.venv/bin/lint-imports
.venv/bin/python scripts/coverage.py --check
.venv/bin/python scripts/completion.py --check
# shellcheck disable=SC2046 # a list of files
shellcheck -x $(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
