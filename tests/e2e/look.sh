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
# One at a time: the ring buffer gives each event to one reader.
watch() { # OPTION...
	"$POLLOAD" monitor "$@" >seen &
	watcher=$!
	sleep 0.3
	try client server tcp 8081 >/dev/null
	sleep 0.4
	is "monitor $* keeps nobody waiting" 0 "$("$POLLOAD" apply one.bpf.o >/dev/null; echo $?)"
	kill -TERM "$watcher"
	wait "$watcher"
	is "monitor $* ends well when told to" 0 $?
}
watch
like "monitor reports a drop by name" "10.66.2.2 8081 (server)" "$(cat seen)"
like "with its reason and the rule's place" "reason policy by one.pol:" "$(cat seen)"
watch --json
is "monitor --json is JSON" true "$(jq -s 'length > 0 and .[0].event == "drop"' seen)"

for words in "" "fly" "apply" "apply a b" "endpoint" "endpoint grow" "endpoint add" "status --audit" "services"; do
	# shellcheck disable=SC2086
	run "$POLLOAD" $words
	is "usage error: polload $words" 2 "$code"
done
run "$POLLOAD" --version
is "--version" 0 "$code"
run "$POLLOAD" --help
like "--help" "usage: polload" "$out"
finish
