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

for piece in "$pieces"/*; do
    matrix ask "$name" - < "$piece"
done
