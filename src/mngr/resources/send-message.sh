#!/bin/sh
# send-message.sh ID: types what comes on standard input into an agent's terminal as one paste and submits it.
# send-message.sh ID keys: types it as keys, and nothing more; nothing at all is the Enter key.
# Programs that ask for bracketed paste get every byte as it is; others read lines.
set -eu
host_dir=${MNGR_HOST_DIR:-/mngr}
state="$host_dir/agents/$1"
session="=mngr-$(cat "$state/name"):"
buffer="mngr-message-$$"

# Two messages at the same time come one after the other.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$state/typing"
    flock 9
fi
screen() {
    tmux -u capture-pane -p -t "$session" \; display-message -p -t "$session" '#{cursor_x} #{cursor_y}' | cksum
}
# Straight to the program, also when somebody is scrolling in the terminal, where keys would go to tmux.
press_enter() { printf '\r' | tmux load-buffer -b "$buffer" - && tmux paste-buffer -r -d -b "$buffer" -t "$session"; }
# changed FROM TENTHS: waits until the screen is no longer FROM, at most so long.
changed() {
    left=$(($2 * 5))
    while [ "$(screen)" = "$1" ] && [ "$left" -gt 0 ]; do
        sleep 0.02
        left=$((left - 1))
    done
}

# Whoever tells an agent something is at work with the host.
mkdir -p "$state/activity"
: >"$state/activity/user"
tmux load-buffer -b "$buffer" -
before=$(screen)
if [ "${2:-}" = keys ]; then
    if [ -n "$(tmux show-buffer -b "$buffer" 2>/dev/null)" ]; then
        tmux paste-buffer -r -d -b "$buffer" -t "$session"
    else
        press_enter
    fi
    changed "$before" 20
    sh "$(dirname "$0")/event.sh" "$1" answer
    exit 0
fi
tmux paste-buffer -p -r -d -b "$buffer" -t "$session"
# A program that reads the paste and the Enter at once may take the Enter for a part of it: first it shows the text.
changed "$before" 20
[ ! -e "$state/paste_rest" ] || sleep "$(cat "$state/paste_rest")"
before=$(screen)
[ ! -e "$state/reports" ] || echo working >"$state/doing"
press_enter
sh "$(dirname "$0")/event.sh" "$1" message
# And it shows that it took it, so that whoever looks next sees no state of before.
changed "$before" 20
