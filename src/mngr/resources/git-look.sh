#!/bin/sh
# Prints the branch, the newest commit (an empty line for none) and the changes of the repository in FOLDER.
# usage: git-look.sh FOLDER; ends with 9 where there is no repository.
cd "$1" && git rev-parse --git-dir >/dev/null || exit 9
git symbolic-ref --quiet --short HEAD || echo
git rev-parse --verify --quiet HEAD || echo
git status --porcelain
