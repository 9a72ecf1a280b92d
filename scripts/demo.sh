#!/bin/sh
# The tour: each step is a real command, printed before it runs. It uses a project and a state folder of its own, and
# the server that mngr itself chooses.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
export PATH

work=$(mktemp -d)
MNGR_HOME="$work/mngr"
export MNGR_HOME
agent=my-agent
cleanup() {
    mngr destroy "$agent" --force >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The tour's agents are in an app and records of its own, so that it never meets a person's.
mkdir -p "$MNGR_HOME" "$work/project"
printf '[providers.modal]\napp = "mngr-demo"\nstate_volume = "mngr-demo-%s"\n' "$$" >"$MNGR_HOME/settings.toml"
cd "$work/project"
git init --quiet
echo '# a project' >README.md
git add README.md
git -c user.name=demo -c user.email=demo@localhost commit --quiet -m 'Begin a project'

run() {
    printf '\n$ '
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_./=-]*) printf "'%s' " "$word" ;;
            *) printf '%s ' "$word" ;;
        esac
    done
    printf '\n'
    "$@"
}

# shellcheck disable=SC2016 # for the agent's shell
run mngr create "$agent" --in modal --no-connect --type command -- \
    'echo "I am $MNGR_AGENT_NAME"; n=0; while sleep 1; do n=$((n + 1)); echo "tick $n" | tee -a ticks.txt; done'
run mngr list
run mngr exec "$agent" 'uname -a; git log --oneline | head -3'
printf '\n# in a terminal "mngr connect %s" attaches you to this screen, and Ctrl-b d detaches:' "$agent"
until mngr exec "$agent" 'test -s ticks.txt'; do :; done
run mngr capture "$agent"
run mngr stop "$agent"
run mngr list
run mngr start "$agent"
run mngr exec "$agent" 'head -1 ticks.txt; git status --short'
run mngr destroy "$agent" --force
run mngr list
