#!/bin/sh
# Makes a work folder a repository that can be pushed to, on a branch of its own.
# usage: git-make.sh FOLDER BRANCH NAME EMAIL [SIBLING…]; empty NAME and EMAIL set nothing. Standard input: ids of recent
# commits of what will be pushed. The objects of the first sibling that has one of them are shared by hard links, and
# git is told of them as alternates, so that they are not sent again.
set -eu

mkdir -p "$1"
cd "$1"
branch=$2 name=$3 email=$4
shift 4
# A submodule's folder is inside of another repository.
[ -e .git ] || git init --quiet .
git symbolic-ref HEAD "refs/heads/$branch"
git config receive.denyCurrentBranch ignore
git config receive.shallowUpdate true
# A submodule's commit is asked for by its id, wherever its branches are.
git config uploadpack.allowAnySHA1InWant true
[ -z "$name" ] || git config user.name "$name"
[ -z "$email" ] || git config user.email "$email"

recent=$(cat)
for sibling in "$@"; do
    objects=$(cd "$sibling" 2>/dev/null && realpath "$(git rev-parse --git-path objects)") || continue
    printf '%s\n' "$recent" | git -C "$sibling" cat-file --batch-check | grep -q ' commit ' || continue
    cp -al "$objects/." .git/objects/
    printf '%s\n' "$objects" >.git/objects/info/alternates
    break
done
