#!/bin/sh
# Runs one of the examples as a user would, and looks at what comes out of it.
#   run.sh NAME PROGRAM
set -eu
name=$1
program=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
head -c 3000000 /dev/urandom >"$dir/data"

case $name in
copy)
	"$program" "$dir/data" "$dir/copy" >"$dir/out"
	cmp "$dir/data" "$dir/copy"
	grep -q '^3000000 bytes by ' "$dir/out"
	! "$program" "$dir/missing" "$dir/copy" 2>/dev/null
	;;
serve)
	mkfifo "$dir/port"
	timeout 60 "$program" "$dir/data" 3 >"$dir/port" &
	read -r port <"$dir/port"
	(printf 'leat example\n' && cat "$dir/data") >"$dir/expected"
	for i in 1 2 3; do
		timeout 60 python3 -c '
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
while data := s.recv(65536):
    sys.stdout.buffer.write(data)' "$port" >"$dir/got$i" &
	done
	wait
	for i in 1 2 3; do cmp "$dir/expected" "$dir/got$i"; done
	;;
ledger)
	timeout 60 "$program" "$dir/data" >"$dir/out"
	cat "$dir/out"
	grep -q '^copy  *0  *3000000 ' "$dir/out"
	grep -q '^sendfile ' "$dir/out"
	;;
mirror)
	"$program" "$dir/data" "$dir/one" "$dir/two" "$dir/three" >"$dir/out"
	for copy in one two three; do cmp "$dir/data" "$dir/$copy"; done
	grep -q '/two: 3000000 bytes, copied: ' "$dir/out"
	grep -q '/three: 3000000 bytes, copied: ' "$dir/out"
	;;
esac
