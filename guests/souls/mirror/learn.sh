#!/bin/sh
# Starts a node, teaches its mirror what stands in a file, and opens a chat with it. What it learnt stays in the folder:
# the next time it is taught more. Arguments: the folder of the programs, the folder for the node's data, the file.
set -eu

programs=$(cd "$1" && pwd)
export MATRIX_DATA_DIR="$2"
text=${3:?say what it is to learn: make learn TEXT=letters.txt}
[ -s "$text" ] || { echo "$text is no file with text in it: make learn TEXT=letters.txt" >&2; exit 1; }
PATH=$programs:$PATH

mkdir -p "$2"
matrixd --data-dir "$2" 2> "$2/log" &
node=$!
trap 'kill -TERM "$node" 2>/dev/null || true; wait "$node"' EXIT
trap 'exit 130' INT TERM
until matrix status > /dev/null 2>&1; do
    kill -0 "$node" 2>/dev/null || { cat "$2/log" >&2; exit 1; }
    sleep 0.1
done

matrix apply guests/worlds/mirror.toml
guests/souls/mirror/teach.sh mirror "$text"
matrix ask mirror about
echo 'Say something to it; `continue TEXT`, `page` and `cost TEXT` are understood too. Ctrl-D ends.'
matrix chat mirror
