#!/bin/sh
# The other way: files become folders and folders become files, much is deleted.
set -eu
cd /tree
mkdir -p "many-$1"
(cd "many-$1" && seq 500 | xargs touch)
rm -rf many-0/1* plain && mkdir plain && echo inside >plain/file
rm -rf turns && echo "was a folder" >turns
rm -rf other && mkdir -p other/deep && echo "$1" >other/deep/file
rm -rf many-0/empty && mkdir many-0/empty
echo more >>three
setfattr -x user.gone kept && setfattr -n user.new -v "$1" kept && chmod 700 kept
rm -f link && ln -s kept link
rm -f pipe-* device-*
fallocate -p -o 1M -l 20M holes
mv "many-$1/5" moved
touch -d "1999-12-31 23:59:59" kept
