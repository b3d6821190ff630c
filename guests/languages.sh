#!/bin/sh
# Builds the Souls of other languages: `languages.sh python …`, to guests/out/<soul>-<language>.wasm, and runs their unit
# tests. What it needs of tools it installs below target/languages, in the versions that the project pins.
#
# Ends with 3 where the machine lacks what it cannot install itself, and says what.
set -eu
cd "$(dirname "$0")/.."

souls="echo counter strategist"
tools=target/languages

missing() {
    echo "$1" >&2
    exit 3
}

# Whether `$1` is as new as all that follow.
is_fresh() {
    [ -e "$1" ] && made=$1 && shift && [ -z "$(find "$@" -type f -newer "$made" | head -n 1)" ]
}

python() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        missing "Python 3.11 or later with venv is needed: apt-get install python3-venv"
    if ! is_fresh $tools/python/installed sdk/python/requirements.txt; then
        rm -rf $tools/python
        python3 -m venv $tools/python
        $tools/python/bin/pip install --quiet --disable-pip-version-check --requirement sdk/python/requirements.txt
        touch $tools/python/installed
    fi
    export PYTHONPATH=sdk/python/src:guests/python PYTHONDONTWRITEBYTECODE=1
    for tests in sdk/python/tests guests/python/tests; do
        $tools/python/bin/python -W error -m unittest discover -s $tests
    done
    for soul in $souls; do
        is_fresh "guests/out/$soul-python.wasm" sdk/python/src sdk/python/requirements.txt "guests/python/$soul.py" wit ||
            $tools/python/bin/python -m matrix_soul.build build "guests/python/$soul.py" -o "guests/out/$soul-python.wasm"
    done
}

mkdir -p guests/out $tools
for language in "$@"; do
    case $language in
    python) (python) ;;
    *) echo "\`$language\` is unknown; there is python" >&2 && exit 2 ;;
    esac
done
