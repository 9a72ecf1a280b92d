#!/bin/sh
# Prints the state of all agents of the host, or of those whose ids are given: a line each:
#   id   running (1 or 0)   exit code or -   oom where it ended because memory ran out, else -
#   working, waiting, blocked or -   seconds since anything was shown or -
# What a program reports by its hooks (the file doing) counts before what its screen shows, but hooks are not called when a
# user interrupts it or answers a permission; then the screen tells.
set -u
host_dir=${MNGR_HOST_DIR:-/mngr}
now=$(date +%s)
# A program at work shows something that moves. What is still for so long waits.
quiet_s=3

# shows NAME: whether the lines in $shown match any of the type's patterns of that name.
shows() { [ -s "$state/screen-$1" ] && printf '%s\n' "$shown" | grep -qE -f "$state/screen-$1"; }

# Whether anything was shown since the hooks have reported, as it is when a permission is denied.
answered() { [ "$(stat -c %Y "$state/doing" 2>/dev/null || echo 0)" -lt "$((now - idle - 2))" ]; }

activity() {
    if [ -e "$state/shell" ]; then
        shell=$(cat "$state/shell")
        foreground=$(sed 's/.*) //' "/proc/$shell/stat" 2>/dev/null | cut -d' ' -f6)
        if [ "$foreground" = "$shell" ]; then echo waiting; else echo working; fi
        return
    fi
    reported=$(cat "$state/doing" 2>/dev/null)
    [ -e "$state/screen-busy" ] || [ -n "$reported" ] || { echo -; return; }
    shown=$(tmux -u capture-pane -p -t "$session" 2>/dev/null | grep -v '^[[:space:]]*$' | tail -n 20)
    if [ -z "$shown" ]; then
        # It is about to begin, whatever a hook has said: what is typed now would be lost.
        echo working
    elif shows blocked; then
        echo blocked
    elif shows busy; then
        echo working
    elif [ "$reported" = blocked ] && ! { shows ready && answered; }; then
        echo blocked
    elif [ "$reported" = waiting ] || [ "$reported" = blocked ]; then
        echo waiting
    elif [ -n "$reported" ] && ! shows ready; then
        echo "$reported"
    elif [ -z "$reported" ] && shows ready; then
        echo waiting
    elif [ "$idle" -ge "$quiet_s" ]; then
        echo waiting
    else
        echo working
    fi
}

for state in "$host_dir"/agents/*/; do
    [ -e "$state/name" ] || continue
    id=$(basename "$state")
    case " $* " in *" $id "*) ;; *) [ $# -eq 0 ] || continue ;; esac
    session="=mngr-$(cat "$state/name"):"
    pane=$(tmux list-panes -t "$session" -F '#{pane_dead} #{window_activity}' 2>/dev/null | head -n 1)
    if [ "${pane%% *}" = 0 ]; then
        idle=$((now - ${pane#* }))
        [ "$idle" -ge 0 ] || idle=0
        echo "$id 1 - - $(activity) $idle"
    else
        if [ -e "$state/out_of_memory" ]; then why=oom; else why=-; fi
        echo "$id 0 $(cat "$state/exit_code" 2>/dev/null || echo -) $why - -"
    fi
done
