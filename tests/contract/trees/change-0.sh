#!/bin/sh
# The first of two ways to change a tree; $1 is the number of the round.
set -eu
mkdir -p /tree && cd /tree
mkdir -p "many-$1"
(cd "many-$1" && seq "$((21000 - 10000 * $1))" | xargs touch && for name in $(seq 300); do echo "$name" >"$name"; done)
rm -rf many-0/77*
echo "$1" >plain && chmod 4750 plain && chown 12:34 plain
ln -sfn "nowhere-$1" link
rm -rf turns && mkdir -p turns/deep && echo "$1" >turns/deep/file
rm -rf other && echo "was a folder" >other
echo linked >"one-$1" && ln -f "one-$1" "two-$1" && ln -f "one-$1" three
truncate -s 50M holes && echo "$1" | dd of=holes conv=notrunc seek=40M bs=1 status=none
setfattr -n user.colour -v "blue-$1" plain && setfattr -n user.folder -v "$1" turns
mkdir -p kept && setfattr -n user.gone -v soon kept && chmod 1777 kept
mkfifo -m 600 "pipe-$1" && mknod "device-$1" c 1 3
touch -d "2001-02-03 04:05:06.789" plain
