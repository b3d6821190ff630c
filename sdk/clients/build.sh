#!/bin/sh
# Generates the clients' code from proto/ and makes the examples ready: `build.sh python typescript`, below target/clients. What
# it needs of tools it installs there, in the versions that the project pins.
#
# Ends with 3 where the machine lacks what it cannot install itself, and says what.
set -eu
cd "$(dirname "$0")/../.."

made=target/clients

missing() {
    echo "$1" >&2
    exit 3
}

python() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        missing "Python 3.11 or later with venv is needed: apt-get install python3-venv"
    if ! cmp -s sdk/clients/python/requirements.txt $made/python/installed; then
        rm -rf $made/python
        python3 -m venv $made/python
        $made/python/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement sdk/clients/python/requirements.txt ||
            missing "the packages of sdk/clients/python/requirements.txt cannot be installed by pip"
        cp sdk/clients/python/requirements.txt $made/python/installed
    fi
    mkdir -p $made/python/generated
    $made/python/bin/python -m grpc_tools.protoc -I proto --python_out=$made/python/generated \
        --grpc_python_out=$made/python/generated proto/matrix/v1/*.proto
}

typescript() {
    node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)' \
        2>/dev/null && npm --version >/dev/null 2>&1 ||
        missing "Node.js 20.19 or later with npm is needed: apt-get install nodejs npm, or nodejs.org"
    mkdir -p $made/typescript
    cp -r sdk/clients/typescript/. $made/typescript
    cd $made/typescript
    if ! cmp -s package-lock.json node_modules/installed; then
        npm ci --silent --ignore-scripts --no-audit --no-fund ||
            missing "the packages of sdk/clients/typescript/package-lock.json cannot be installed by npm"
        cp package-lock.json node_modules/installed
    fi
    rm -rf generated dist
    npm run --silent build
}

for client in "$@"; do
    case $client in
    python) (python) ;;
    typescript) (typescript) ;;
    *) echo "\`$client\` is unknown; there are python and typescript" >&2 && exit 2 ;;
    esac
done
