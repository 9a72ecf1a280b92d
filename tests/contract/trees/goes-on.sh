#!/bin/sh
# Waits until the repository has a commit more than now.
set -eu
cd /repository
count=$(git rev-list --count HEAD)
until [ "$(git rev-list --count HEAD)" -gt "$count" ]; do sleep 0.05; done
