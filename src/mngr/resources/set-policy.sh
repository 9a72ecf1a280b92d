#!/bin/sh
# Changes when a host that runs ends itself. watch.sh reads the file anew each time, so it is whole at any time.
# usage: set-policy.sh KEY=VALUE…
set -eu

cd /run/mngr
cp policy policy.new
for pair in "$@"; do
    sed "s/^${pair%%=*}=.*/$pair/" policy.new >policy.edited
    mv policy.edited policy.new
done
mv policy.new policy
