#!/usr/bin/env bash
# Starts nodes of one realm as processes on loopback, plays the tournament spread over them, and says how to watch it.
# Arguments: the folder of the programs, the folder for the nodes' data, how many nodes.
set -euo pipefail
programs=$1 folder=$2 nodes=$3
matrix() { "$programs/matrix" --data-dir "$folder/$1" "${@:2}"; }

pids=()
trap 'kill -TERM "${pids[@]}" 2>/dev/null; wait' INT TERM EXIT

for node in $(seq "$nodes"); do
    mkdir -p "$folder/$node"
    # The first has the usual ports; the others are reached by the sockets in their folders.
    [ "$node" = 1 ] || printf '[admin]\nlisten = "off"\nhttp = "off"\n' > "$folder/$node/matrixd.toml"
    join=()
    if [ "$node" != 1 ] && [ ! -e "$folder/$node/realm.json" ]; then
        join=(--join "$(matrix 1 cluster invite)")
    fi
    "$programs/matrixd" --data-dir "$folder/$node" "${join[@]}" 2> "$folder/$node/log" &
    pids+=($!)
    echo "node $node starts; its log is $folder/$node/log"
    # A node that was in the realm before waits for the others: only a new one, and the first of all, is waited for.
    if [ "${#join[@]}" -gt 0 ] || [ "$nodes" = 1 ] || { [ "$node" = 1 ] && [ ! -e "$folder/2/realm.json" ]; }; then
        until matrix "$node" status > /dev/null 2>&1; do kill -0 "${pids[-1]}"; sleep 0.1; done
    fi
done
until matrix 1 status > /dev/null 2>&1; do kill -0 "${pids[0]}"; sleep 0.1; done

matrix 1 nodes list
matrix 1 apply --wait guests/worlds/tournament.toml
matrix 1 souls list
cat <<END

The Souls above live on $nodes nodes, and each node reaches them all. Try, with $programs on your PATH:
  matrix --data-dir $folder/2 ask counter 'add 3'     asks by way of node 2, wherever the Soul lives
  matrix --data-dir $folder/1 souls move counter 2    moves it, with its state
  matrix --data-dir $folder/1 nodes drain 3           moves away all that lives on node 3
  kill -9 ${pids[-1]}                                 ends node $nodes; its Souls come up on others
  matrix --data-dir $folder/1 nodes list              shows who is alive
Ctrl-C ends the nodes; \`make realm\` brings them back as they were.
END
wait
