#!/bin/sh
# Prints size, time of change and kind of the entries of a folder, or of one file, each as "SIZE SECONDS KIND/NAME":
# names are last, so that they may hold spaces. stat of GNU and of busybox know this form.
# usage: list-files.sh PATH; ends with 44 where there is no such thing.
[ -e "$1" ] || exit 44
if [ -d "$1" ]; then
    cd "$1" || exit
    set -- * .[!.]* ..?*
else
    cd "$(dirname "$1")" || exit
    set -- "$(basename "$1")"
fi
for one in "$@"; do
    [ -e "$one" ] || [ -L "$one" ] || continue
    stat -c '%s %Y %F/%n' -- "$one"
done
