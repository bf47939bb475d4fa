#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What is asked for while somebody else is at it: `polload boot --watch` undoes no apply, lockdown or removal that
# comes between its look and its change, and no change lifts a lockdown that came after it was begun.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"
command -v nft >/dev/null || skip "nft is not installed"

status() { "$POLLOAD" status --json 2>/dev/null | jq -c "$1"; }

# Somebody reads, and goes on reading: nobody has the lock for a change.
reads() {
	flock -so bpf/polc sleep 600 &
	reader=$!
	while flock -n bpf/polc true; do sleep 0.02; done
}
reads_no_more() {
	kill $reader
	wait $reader
} 2>/dev/null
# Waiting for the lock is the only thing for which a process of ours sleeps by itself, and not in poll(2).
waits_for_lock() { # PID
	local i
	for ((i = 0; i < 400; i++)); do
		! grep -q nanosleep "/proc/$1/wchan" || return 0
		sleep 0.02
	done
	echo "# process $1 does not wait for the lock: $(cat "/proc/$1/wchan")"
}

late() {
	ip link add v-late type veth peer name w-late || bail "cannot make a veth"
	ip link set v-late up
}

# COMMAND comes when the watch has seen that one.pol is in force and an interface of its host file is there, and
# before it can change anything.
between() { # COMMAND...
	local watch
	ip link show v-late >/dev/null 2>&1 || late
	"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
	ip link del v-late
	"$POLLOAD" boot --watch >watch.log 2>&1 &
	watch=$!
	for ((i = 0; i < 400; i++)); do # it has looked once
		! grep -q poll "/proc/$watch/wchan" || break
		sleep 0.02
	done
	reads
	late
	waits_for_lock $watch
	kill -STOP $watch
	reads_no_more
	run "$@"
	kill -CONT $watch
	[ "$1 $2" != "$POLLOAD apply" ] || becomes "the watch takes in what has come" '""' status .waiting
	sleep 0.4
	kill $watch
	wait $watch
} 2>/dev/null

shop_containers
shop_compile
labels[late]="app: client" v4[late]=10.66.9.2 v6[late]=fd66:0:0:9::2
host_file client server late >host.yaml

# ---- the watch -----------------------------------------------------------------------------------

between "$POLLOAD" apply two.bpf.o
is "an apply comes before the watch" 0 "$code"
is "and is in force when that has done its work" '"two.pol"' "$(status .policy)"
is "and kept for the boot" same "$(cmp two.bpf.o "$POLC_STATE_DIR/good/policy.bpf.o" && echo same)"
shop_in_force two

between "$POLLOAD" lockdown
is "a lockdown comes before the watch, and stays" '0 "pool" "one.pol"' "$code $(status '.lockdown, .policy' | xargs -d '\n')"
expect timeout client server tcp 8080
run "$POLLOAD" boot
is "until a boot lifts it" "0 null" "$code $(status .lockdown)"
expect open client server tcp 8080

between "$POLLOAD" remove
is "a removal comes before the watch, and nothing is in force" "0 1 " "$code $("$POLLOAD" status >/dev/null 2>&1; echo $?) $(ls -d bpf/polc "$POLC_STATE_DIR" 2>/dev/null)"

# ---- a lockdown beside other changes ------------------------------------------------------------------

"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
reads
"$POLLOAD" apply two.bpf.o >applied 2>&1 &
apply=$!
waits_for_lock $apply
"$POLLOAD" lockdown >locked 2>&1 &
lockdown=$!
becomes "a lockdown closes at once, though a change is under way" '"pool"' status .lockdown
reads_no_more
wait $apply
is "that change takes force" '0 "two.pol"' "$? $(status .policy)"
wait $lockdown
is "and the lockdown stays" '0 "pool"' "$? $(status .lockdown)"
like "as the change says" "a lockdown was asked for meanwhile, and stays" "$(cat applied)"
expect timeout client server tcp 8081
run "$POLLOAD" apply two.bpf.o
is "an apply after it lifts it" "0 null" "$code $(status .lockdown)"
expect open client server tcp 8081

# Who has the lock does not end: what one container hands to another is closed all the same.
reads
run "$POLLOAD" lockdown
like "a lockdown that does not get the lock" "in use by another polload (process $reader); the lockdown did not wait" "$err"
is "is there" '0 "pool"' "$code $(status .lockdown)"
expect timeout client server tcp 8081
reads_no_more
run "$POLLOAD" boot
is "and a boot lifts it" "0 null" "$code $(status .lockdown)"
expect open client server tcp 8081
finish
