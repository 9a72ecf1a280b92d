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

# Sets word to the first line of a file, empty when there is none. Programs are what costs time here, so few are started.
word_of() {
    word=''
    { read -r word <"$1"; } 2>/dev/null
}

# Sets doing to what the agent's program does.
look() {
    if [ -e "$state/shell" ]; then
        word_of "$state/shell"
        foreground=$(sed 's/.*) //' "/proc/$word/stat" 2>/dev/null | cut -d' ' -f6)
        if [ "$foreground" = "$word" ]; then doing=waiting; else doing=working; fi
        return
    fi
    word_of "$state/doing"
    reported=$word
    if [ ! -e "$state/screen-busy" ] && [ -z "$reported" ]; then
        doing=-
        return
    fi
    shown=$(tmux -u capture-pane -p -t "=mngr-$name:" 2>/dev/null | grep -v '^[[:space:]]*$' | tail -n 20)
    if [ -z "$shown" ]; then
        # It is about to begin, whatever a hook has said: what is typed now would be lost.
        doing=working
    elif shows blocked; then
        doing=blocked
    elif shows busy; then
        doing=working
    elif [ "$reported" = blocked ] && ! { shows ready && answered; }; then
        doing=blocked
    elif [ "$reported" = waiting ] || [ "$reported" = blocked ]; then
        doing=waiting
    elif [ -n "$reported" ] && ! shows ready; then
        doing=$reported
    elif [ -z "$reported" ] && shows ready; then
        doing=waiting
    elif [ "$idle" -ge "$quiet_s" ]; then
        doing=waiting
    else
        doing=working
    fi
}

newline='
'
panes=$newline$(tmux list-panes -a -F '#{session_name} #{pane_dead} #{window_activity}' 2>/dev/null)$newline
for state in "$host_dir"/agents/*/; do
    [ -e "$state/name" ] || continue
    id=${state%/}
    id=${id##*/}
    case " $* " in *" $id "*) ;; *) [ $# -eq 0 ] || continue ;; esac
    word_of "$state/name"
    name=$word
    # The first pane of its session is the one that it was started in.
    pane=${panes#*"${newline}mngr-$name "}
    [ "$pane" != "$panes" ] || pane=''
    pane=${pane%%"$newline"*}
    if [ "${pane%% *}" = 0 ]; then
        idle=$((now - ${pane#* }))
        [ "$idle" -ge 0 ] || idle=0
        look
        echo "$id 1 - - $doing $idle"
    else
        if [ -e "$state/out_of_memory" ]; then why=oom; else why=-; fi
        word_of "$state/exit_code"
        echo "$id 0 ${word:--} $why - -"
    fi
done
