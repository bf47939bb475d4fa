#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# polload killed at any instant: the old or the new policy, whole; what it left behind
# the next run cleans up.  KILLS sets how often (24).
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
began=$(date +%s%N)
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
took=$((($(date +%s%N) - began) / 1000)) # us
kills=${KILLS:-24}
old=0 new=0 broken=0

enforced() { # one, two or a mixture, by traffic alone
	case "$(try client server tcp 8080)/$(try client server tcp 8081)" in
	"open open/timeout timeout") echo one ;;
	"timeout timeout/open open") echo two ;;
	*) echo mixed ;;
	esac
}

now=one
for i in $(seq 1 "$kills"); do
	[ "$now" = one ] && next=two || next=one
	"$POLLOAD" apply "$next.bpf.o" -H host.yaml >/dev/null 2>&1 &
	pid=$!
	# spread over the whole run and a little beyond it
	sleep "$(printf '0.%06d' $((took * i * 11 / (kills * 10) % 1000000)))"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	seen=$(enforced)
	case $seen in
	"$now") old=$((old + 1)) ;;
	"$next") new=$((new + 1)) now=$next ;;
	*) broken=$((broken + 1)); not_ok "kill $i of an apply leaves $now or $next" "$("$POLLOAD" status 2>&1)" ;;
	esac
done
is "an apply that is killed leaves one policy whole ($old times the old one, $new the new)" 0 "$broken"
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply afterwards"
run "$POLLOAD" status
is "status afterwards" 0 "$code"
is "one generation is left" 1 "$(find bpf/polc -maxdepth 1 -name 'gen_*' | wc -l)"
is "at most two objects" true "$([ "$(find "$POLC_STATE_DIR" -type f | wc -l)" -le 2 ] && echo true)"
shop_in_force one

# A first apply: nothing or all, and never a device that is open once polload has ended well.
"$POLLOAD" remove >/dev/null || not_ok "remove"
odd=0
for i in $(seq 1 $((kills / 2))); do
	"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '0.%06d' $((took * i * 22 / (kills * 10) % 1000000)))"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	if "$POLLOAD" status >/dev/null 2>&1; then
		[ "$(enforced)" = one ] || odd=$((odd + 1))
	fi
	"$POLLOAD" remove >/dev/null || odd=$((odd + 1))
	[ -z "$(find bpf state -mindepth 1 ! -name "*.debug")$(tc qdisc show | grep clsact)" ] || odd=$((odd + 1))
done
is "a first apply that is killed: whole or cleaned up by remove" 0 "$odd"

# Endpoints, likewise.
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
container later 3 "app: client"
for i in $(seq 1 "$kills"); do
	"$POLLOAD" endpoint add later interface=v-later "address=${v4[later]}" "address=${v6[later]}" \
		label=app=client >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '0.%06d' $((15000 * i / kills)))"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	"$POLLOAD" endpoint del later >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '0.%06d' $((15000 * i / kills)))"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
done
"$POLLOAD" endpoint del later >/dev/null 2>&1
run "$POLLOAD" endpoint add later interface=v-later "address=${v4[later]}" "address=${v6[later]}" label=app=client
is "endpoint add after kills" 0 "$code"
phase="after kills of endpoint add and del"
expect open later server tcp 8080
run "$POLLOAD" status
is "status" 0 "$code"
finish
