#!/bin/sh
# Prints something when a file of the host's disk was changed after a moment, or when that can not be told. What mngr
# itself writes, and what does not last, is left aside.
# usage: changed-since.sh SECONDS-SINCE-1970
find / -xdev \( -path /mngr -o -path /var/lib/mngr -o -path /run -o -path /tmp -o -path /var/log -o -path /dev \) \
    -prune -o -newermt "@$1" -print -quit 2>/dev/null || echo unknown
