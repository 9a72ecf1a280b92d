#!/bin/sh
# Writes to a database and a repository, in two programs, until it is ended.
set -eu
mkdir /repository && cd /repository
git init -q . && git config user.email ada@example.com && git config user.name Ada
sqlite3 /data "PRAGMA journal_mode=WAL; CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);" >/dev/null
(while :; do sqlite3 /data "INSERT INTO t (b) VALUES (hex(randomblob(5000))); UPDATE t SET b = b || 'x' WHERE a % 7 = 1;"; done) &
number=0
while :; do
    number=$((number + 1))
    head -c 20000 /dev/urandom >"file-$((number % 20))"
    git add . && git commit -qm "commit $number"
    touch /begun
done
