#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# check, inspect, monitor, and what polload says of wrong usage.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile
run "$POLLOAD" check one.bpf.o
is "check" 0 "$code"
like "check says so" "the kernel accepts it" "$out"
is "check pins nothing" "" "$(find bpf -mindepth 1 ! -name '*.debug')"
run "$POLLOAD" inspect one.bpf.o
is "inspect" 0 "$code"
like "inspect names the classes" "client server" "$out"
run setpriv --bounding-set=-all --inh-caps=-all "$POLLOAD" inspect one.bpf.o --json
is "inspect needs no capability" 0 "$code"
is "inspect --json is JSON" '"one.pol"' "$(jq .policy <<<"$out")"

"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
# Two at a time: each has events of its own.
seen() { # FILE PATTERN
	local i
	for ((i = 0; i < 600; i++)); do
		grep -q -- "$2" "$1" && return
		sleep 0.05
	done
	return 1
}
"$POLLOAD" monitor --each >text &
one=$!
"$POLLOAD" monitor --json --each >json &
two=$!
begun text
begun json
like "status counts the readers" "events      2 readers" "$("$POLLOAD" status)"
patience=400 try client server tcp 8081 >/dev/null
seen text '8081.*policy .* by one.pol:' && seen json '"port": 8081'
is "monitor keeps nobody waiting" 0 "$("$POLLOAD" apply one.bpf.o >/dev/null; echo $?)"
kill -TERM "$one" "$two"
wait "$one"
is "monitor ends well when told to" 0 $?
wait "$two"
is "monitor --json ends well when told to" 0 $?
like "monitor reports a drop by name" "client 10.66.1.2" "$(cat text)"
like "of both ends" "server 10.66.2.2:8081" "$(cat text)"
like "with its reason and the rule's place" "policy out by one.pol:" "$(grep 8081 text)"
is "monitor --json is JSON, and saw the same" true \
	"$(jq -s 'map(select(.event == "drop" and .to.port == 8081 and .from.endpoint == "client")) | length > 0' json)"
is "both saw as many" "$(grep -c 8081 text)" "$(grep -c '"port": 8081' json)"

for words in "" "fly" "apply" "apply a b" "endpoint" "endpoint grow" "endpoint add" "status --audit" "services none"; do
	# shellcheck disable=SC2086
	run "$POLLOAD" $words
	is "usage error: polload $words" 2 "$code"
done
run "$POLLOAD" --version
is "--version" 0 "$code"
run "$POLLOAD" --help
like "--help" "usage: polload" "$out"
finish
