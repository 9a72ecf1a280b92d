#!/bin/sh
# follow-agents.sh SECONDS: prints what probe.sh says of all agents and then a line with a dot; the same again whenever
# something has changed, looked at as often as is said. The end of its input ends it.
# A look that finds nothing new costs two programs. What shows a change late (a screen that becomes still) does so soon
# after something that shows it at once, so the whole probe is made for a while after that.
set -u
every=$1
host_dir=${MNGR_HOST_DIR:-/mngr}
settle_s=10
anyway_s=60

# A program in the background has no input; this one is to see the end of ours.
exec 3<&0
{
    cat <&3 >/dev/null
    kill $$
} >/dev/null 2>&1 &

glance() {
    tmux list-panes -a -F '#{session_name} #{pane_dead} #{window_activity}'
    for name in name doing exit_code out_of_memory shell; do set -- "$@" "$host_dir"/agents/*/"$name"; done
    stat -c '%n %Y' "$@"
}

before='' said=. probe_s=0 rest_s=0
while :; do
    now=$(glance 2>/dev/null)
    [ "$now" = "$before" ] || probe_s=$settle_s
    [ "$rest_s" -gt 0 ] || probe_s=1
    if [ "$probe_s" -gt 0 ]; then
        probed=$(sh /usr/local/lib/mngr/probe.sh)
        # Without its last field, which counts the seconds since something was shown: when that was is in the glance.
        saying="$now $(printf '%s\n' "$probed" | sed 's/ [^ ]*$//')"
        [ "$saying" = "$said" ] || printf '%s\n.\n' "$probed" || exit
        said=$saying
        rest_s=$anyway_s
    fi
    before=$now
    probe_s=$((probe_s - every))
    rest_s=$((rest_s - every))
    sleep "$every" 3<&-
done
