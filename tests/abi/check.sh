#!/bin/sh
# The interface of libleat against the one that was kept: symbols with their versions, functions,
# structs with the place of each member. Every difference fails.
#
#     check.sh LIBRARY HEADERS           compares
#     check.sh --renew LIBRARY HEADERS   writes libleat.abi anew
#
# A difference is allowed when old programs don't notice: a new function, or a member at the end of a
# struct that begins with its size. Then renew the baseline in the same commit. Anything else needs
# another soname.
set -eu
baseline=$(dirname "$0")/libleat.abi
renew=false
[ "$1" != --renew ] || { renew=true && shift; }
library=$1
headers=$2

if ! command -v abidiff >/dev/null; then
	echo "abidiff is missing (Debian: abigail-tools)"
	exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
abidw --exported-interfaces-only --drop-private-types --headers-dir "$headers" --no-show-locs --no-corpus-path \
	--no-comp-dir-path --no-elf-needed --no-parameter-names --no-write-default-sizes --type-id-style hash \
	--out-file "$scratch/now.abi" "$library"
if $renew; then
	cp "$scratch/now.abi" "$baseline"
	exit
fi

# What the header offers is what the library exports.
grep -h '^LEAT_API' "$headers"/*.h | grep -o 'leat_[a-z_]*(' | tr -d '(' | sort >"$scratch/header"
nm -D --defined-only "$library" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >"$scratch/library"
if ! diff "$scratch/header" "$scratch/library"; then
	echo "LEAT_API in leat.h (<) and libleat.map (>) differ"
	exit 1
fi

# Both sides written down the same way: abidiff 2.2 sees no change at all of a library whose private
# types it was told to drop.
status=0
abidiff --leaf-changes-only "$baseline" "$scratch/now.abi" || status=$?
[ "$status" -eq 0 ] || {
	echo "the interface has changed (abidiff says $status): see $0"
	exit 1
}
