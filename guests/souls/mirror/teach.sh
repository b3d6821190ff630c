#!/bin/sh
# Teaches a mirror what stands in files, or in what is piped in: `teach.sh NAME [FILE...]`. Lessons are cut between
# paragraphs; what else `matrix` needs (--data-dir, --node) it takes from its environment.
set -eu

name=${1:?say whom to teach: teach.sh NAME [FILE...]}
shift
pieces=$(mktemp -d)
trap 'rm -r "$pieces"' EXIT

# In paragraph mode a record is a paragraph; a piece ends before the one that would make it too long.
cat -- "$@" | LC_ALL=C awk -v RS= -v most=32768 -v folder="$pieces" '
    BEGIN { piece = 1000000 }
    size == 0 || size + length($0) + 2 > most {
        if (size) close(file)
        file = folder "/" piece++
        printf "teach" > file
        size = 6
    }
    { printf "\n%s\n", $0 > file; size += length($0) + 2 }'

# On a terminal a bar shows how far it is, and what was said last; elsewhere each answer is a line.
set -- "$pieces"/*
total=$# done=0
for piece; do
    said=$(matrix ask "$name" - < "$piece")
    done=$((done + 1))
    if [ -t 1 ]; then
        bar=$(printf "%$((done * 30 / total))s" '' | tr ' ' '#')
        printf '\r[%-30s] %3d %%  %s\033[K' "$bar" "$((done * 100 / total))" "$said"
    else
        printf '%s\n' "$said"
    fi
done
if [ -t 1 ]; then echo; fi
