#!/bin/sh
# Breaks the code, one promise at a time, and demands that the test named for the promise notices:
#
#     tests/mutants/run.sh [NAME…]      those patches of this folder, or all
#
# It works on a copy of what git tracks, changes that are not committed included, with a target folder of its own: what
# is built elsewhere is never built from broken code. The first build takes long; each mutant then takes one of a crate.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
mutants=$root/tests/mutants
tree=$root/target/mutants/tree
cargo=${CARGO:-cargo}
export CARGO_TARGET_DIR="$root/target/mutants/target"
# How long a test may take whose promise is broken: one that never ends has noticed, too.
patience=600

field() { sed -n "s/^$2: //p" "$mutants/$1.patch"; }

# Builds the test of a mutant, and runs it: 0, it passes; 1, it fails; 2, there is none that could.
check() {
    # shellcheck disable=SC2046 # one word an argument is meant
    (cd "$tree" && "$cargo" test --locked --no-run $(field "$1" cargo)) >"$log" 2>&1 || return 2
    # shellcheck disable=SC2046
    if (cd "$tree" && timeout $patience "$cargo" test --locked $(field "$1" cargo) -- --exact "$(field "$1" test)") \
        >>"$log" 2>&1; then
        grep -q '^test result: ok. 1 passed' "$log" || return 2
        return 0
    fi
    grep -q '^running 1 test$' "$log" || return 2
    return 1
}

[ $# -gt 0 ] || set -- $(cd "$mutants" && ls ./*.patch | sed 's|^\./||; s|\.patch$||')
state=$(git -C "$root" stash create)
git -C "$root" worktree prune
[ ! -e "$tree" ] || git -C "$root" worktree remove --force "$tree"
mkdir -p "$root/target/mutants"
git -C "$root" worktree add --quiet --detach "$tree" "${state:-HEAD}"
log=$root/target/mutants/log
trap 'git -C "$root" worktree remove --force "$tree"' EXIT

bad=0
say() { printf '%-9s %-20s %s\n' "$1" "$2" "$3"; }
wrong() {
    bad=$((bad + 1))
    say "$@"
    sed 's/^/    /' "$log" | tail -n 20
}
# First all tests unbroken, of one build: one that fails by itself proves nothing.
for name in "$@"; do
    check "$name" || wrong "no test" "$name" "unbroken, $(field "$name" test) does not pass"
done
[ $bad = 0 ] || exit 1
for name in "$@"; do
    found=0
    git -C "$tree" apply "$mutants/$name.patch"
    check "$name" || found=$?
    git -C "$tree" apply --reverse "$mutants/$name.patch"
    case $found in
    0) wrong survives "$name" "$(field "$name" test) passes without: $(field "$name" promise)" ;;
    1) say caught "$name" "$(field "$name" promise)" ;;
    *) wrong "no test" "$name" "broken, it does not compile, or the test does not begin" ;;
    esac
done
[ $bad = 0 ] || { echo "$bad of $# are not caught"; exit 1; }
