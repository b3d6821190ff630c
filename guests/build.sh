#!/bin/sh
# Builds every guest: guests/out/<name>.wasm, a component each.
set -eu
cd "$(dirname "$0")"

guests="echo counter strategist learner trader mirror ipd schelling gridworld market parlour redact"

packages=""
for guest in $guests; do
    packages="$packages -p $guest"
done
# shellcheck disable=SC2086 # one word a package is meant
exec ../sdk/rust/components.sh . "$guests" $packages
