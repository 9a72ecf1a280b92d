#!/bin/sh
# Merges what was pushed, or rebases onto it, and prints the newest commit. One that has conflicts is taken back: nobody
# might see it. One that was begun before is the agent's own and stays.
# usage: git-take.sh FOLDER merge|rebase ARGUMENTS-OF-GIT…; ends with git's own code.
cd "$1" || exit
way=$2
shift 2
case $way in
    rebase) state=rebase-merge ;;
    *) state=MERGE_HEAD ;;
esac
begun=''
if [ -e "$(git rev-parse --git-path $state)" ]; then begun=1; fi
git "$@" >&2
code=$?
if [ -z "$begun" ] && [ -e "$(git rev-parse --git-path $state)" ]; then git "$way" --abort; fi
git rev-parse --verify --quiet HEAD
exit $code
