#!/bin/sh
# Makes a commit of all that is in FOLDER now, at refs/mngr/work-tree, and prints its id. Neither the branch nor the
# index changes.
# usage: git-keep.sh FOLDER
set -eu

cd "$1"
index=$(mktemp)
trap 'rm -f "$index"' EXIT
cp "$(git rev-parse --git-path index)" "$index" 2>/dev/null || rm -f "$index"
export GIT_INDEX_FILE="$index"
git add --all
tree=$(git write-tree)
head=$(git rev-parse --verify --quiet HEAD || :)
commit=$(git -c user.name=mngr -c user.email=mngr@localhost commit-tree ${head:+-p "$head"} -m 'not committed' "$tree")
git update-ref refs/mngr/work-tree "$commit"
echo "$commit"
