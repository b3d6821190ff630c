#!/bin/sh
# Builds every program: tests/programs/out/<name>.wasm, a component each.
set -eu
cd "$(dirname "$0")"

exec ../../sdk/rust/components.sh examples "citizen rogue caller stages relay misrule judge reader caterpillar butterfly moth tally regime successor teller newborn pretender pupil diarist talker flawed unjust biased visitor surfer weights ballast reciter" --examples
