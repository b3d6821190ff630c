#!/bin/sh
# Builds the Souls, rules and interceptors of other languages: `languages.sh c python js`, to guests/out/<name>-<language>.wasm, and
# runs their unit tests. What it needs of tools it installs below target/languages, in the versions that the project pins.
#
# Ends with 3 where the machine lacks what it cannot install itself, and says what.
set -eu
cd "$(dirname "$0")/.."

guests="echo counter strategist almanac courier ipd mask"
# What their components say of themselves.
version=0.1.0
licenses=Apache-2.0
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
        $tools/python/bin/pip install --quiet --disable-pip-version-check --requirement sdk/python/requirements.txt ||
            missing "the packages of sdk/python/requirements.txt cannot be installed by pip"
        touch $tools/python/installed
    fi
    export PYTHONPATH=sdk/python/src:guests/python PYTHONDONTWRITEBYTECODE=1
    for tests in sdk/python/tests guests/python/tests; do
        $tools/python/bin/python -W error -m unittest discover -s $tests
    done
    for guest in $guests; do
        is_fresh "guests/out/$guest-python.wasm" sdk/python/src sdk/python/requirements.txt guests/python/"$guest"*.py wit ||
            $tools/python/bin/python -m matrix_soul.build build "guests/python/$guest.py" -o "guests/out/$guest-python.wasm" \
                --label "name=$guest-python" --label "version=$version" --label "licenses=$licenses"
    done
}

js() {
    node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)' \
        2>/dev/null && npm --version >/dev/null 2>&1 ||
        missing "Node.js 20.19 or later with npm is needed: apt-get install nodejs npm, or nodejs.org"
    built=$tools/js
    mkdir -p $built/guests
    cp -r sdk/js/. $built
    cp -r guests/js/. $built/guests
    if ! is_fresh $built/installed sdk/js/package-lock.json; then
        (cd $built && npm ci --silent --ignore-scripts --no-audit --no-fund) ||
            missing "the packages of sdk/js/package-lock.json cannot be installed by npm"
        touch $built/installed
    fi
    rm -rf $built/dist $built/guests/dist
    (cd $built && node_modules/.bin/tsc && node_modules/.bin/tsc -p guests)
    said=$(cd $built && MATRIX_AXELROD_TABLE=../../../tests/data/axelrod-4.14.0-turns-200.json \
        node --test --test-reporter=tap tests/*.mjs guests/tests/*.mjs) || { echo "$said" >&2 && exit 1; }
    for guest in $guests; do
        is_fresh "guests/out/$guest-js.wasm" sdk/js guests/js/"$guest"*.ts wit ||
            node $built/bin/matrix-soul.mjs build "$built/guests/$guest.ts" -o "guests/out/$guest-js.wasm" \
                --label "name=$guest-js" --label "version=$version" --label "licenses=$licenses"
    done
}

c() {
    for tool in clang-19 wasm-ld-19 cargo cc make; do
        command -v $tool >/dev/null || missing "$tool is needed: apt-get install clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc make gcc"
    done
    make() { command make --silent -f sdk/c/Makefile BUILD=$tools/c TOOL=$tools/c/tool LABEL="version=$version licenses=$licenses" "$@"; }
    make test SOURCES= TESTS=sdk/c/tests/sdk.c
    make test SOURCES= TESTS=sdk/c/tests/rules.c
    make test SOURCES= TESTS=sdk/c/tests/http.c
    for guest in $guests; do
        make test SOURCES="guests/c/$guest.c" TESTS="guests/c/tests/$guest.c" ARGUMENTS=tests/data/axelrod-4.14.0-turns-200.json
    done
    make SOURCES=guests/c/echo.c OUT=guests/out/echo-c.wasm
    make SOURCES=guests/c/almanac.c OUT=guests/out/almanac-c.wasm
    make SOURCES=guests/c/courier.c OUT=guests/out/courier-c.wasm
    make SOURCES=guests/c/counter.c EXPORTS=agent,stateful OUT=guests/out/counter-c.wasm
    make SOURCES=guests/c/strategist.c EXPORTS=agent,stateful,player OUT=guests/out/strategist-c.wasm
    make SOURCES=guests/c/ipd.c EXPORTS=rules,stateful OUT=guests/out/ipd-c.wasm
    make SOURCES=guests/c/mask.c EXPORTS=interceptor OUT=guests/out/mask-c.wasm
}

mkdir -p guests/out $tools
for language in "$@"; do
    case $language in
    python) (python) ;;
    js) (js) ;;
    c) (c) ;;
    *) echo "\`$language\` is unknown; there are c, python and js" >&2 && exit 2 ;;
    esac
done
