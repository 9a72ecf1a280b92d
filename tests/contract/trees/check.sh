#!/bin/sh
# Whether the database and the repository are whole.
set -eu
sqlite3 /data "PRAGMA integrity_check; SELECT count(*) FROM t;"
cd /repository
git fsck --full --strict --no-dangling >&2
git rev-list --count HEAD
