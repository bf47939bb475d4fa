#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Several polloads at once: one after the other, or a word about who holds the lock.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile
# Who waits for a lock waits for ten seconds: in a folder of its own, beside all that follows.
elsewhere() { POLC_BPFFS=$work/bpf/held POLC_STATE_DIR=$work/state/held "$POLLOAD" "$@"; }
elsewhere apply one.bpf.o >/dev/null || bail "apply elsewhere"
flock -o bpf/held sleep 600 &
holder=$!
until ! flock -n bpf/held true; do sleep 0.05; done
elsewhere apply two.bpf.o >held.out 2>held.err &
waiter=$!

pids=()
for policy in one two one two; do
	"$POLLOAD" apply "$policy.bpf.o" -H host.yaml >/dev/null 2>>err &
	pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
	wait "$pid" || failed=$((failed + 1))
done
is "four first applies at once all succeed" 0 "$failed"
is "and each was a generation" 4 "$("$POLLOAD" status --json | jq .generation)"
is "without a word" "" "$(cat err)"

pids=()
for i in 1 2 3 4 5 6; do
	"$POLLOAD" apply one.bpf.o >/dev/null 2>&1 &
	pids+=($!)
	"$POLLOAD" endpoint add "e$i" "address=10.66.8.$i" interface=lo >/dev/null 2>&1 &
	pids+=($!)
	"$POLLOAD" apply --shadow two.bpf.o >/dev/null 2>&1 &
	pids+=($!)
	"$POLLOAD" shadow --drop >/dev/null 2>&1 &
	pids+=($!)
	"$POLLOAD" status >/dev/null 2>&1 &
	pids+=($!)
done
wait "${pids[@]}"
phase="after applies, shadows, adds and looks at once"
shop_in_force one

wait "$waiter"
is "a lock that is never given back: exit code" 3 $?
like "says who holds it" "in use by another polload (process $holder)" "$(cat held.err)"
kill "$holder"
is "what was in force there is" "one.pol 1" "$(elsewhere status --json | jq -r '"\(.policy) \(.generation)"')"
finish
