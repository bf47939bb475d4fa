#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# 100 applies that alternate two policies, under steady traffic of both families: what both allow is
# never broken, what both deny never passes, and no packet is judged half by one and half by
# the other.  Everything is counted by those who send and those who answer.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"
applies=${POLC_APPLIES:-100}

# Of port 54 only one end is open in each policy, never both: a packet that passes there
# met the egress of one and the ingress of the other.
half_policy() { # client | server: whose side of port 54 is open
	shop_policy 8080 | sed "/^policy $1/a\\    allow $([ "$1" = client ] && echo "to server" || echo "from client") on udp 54;"
}

# Between the two ends each packet waits some microseconds, on every processor, longer than all else
# that happens to it: nearly every flip comes upon packets of both processors just there.
cp -r "$POLC_TEMPLATES" templates
sed -i '/return to ? pol_judge_side/i\
#pragma clang loop unroll(disable)\
	for (int i = 0; i < 150; i++)\
		bpf_ktime_get_ns();' templates/judge.h
grep -q "i < 150" templates/judge.h || bail "no place to wait in judge.h"
export POLC_TEMPLATES=$work/templates

shop_containers
half_policy client | compile one
half_policy server | compile two
{ shop_policy 8080 | sed -e '/^policy client/a\    allow to server on udp 54;' -e '/^policy server/a\    allow from client on udp 54;'; } | compile both
"$POLLOAD" apply both.bpf.o -H host.yaml >/dev/null || bail "apply"
for family in v4 v6; do
	declare -n to=$family
	for _ in {1..50}; do
		read -r _ _ answered _ < <(inside client "$PROBE" flood "${to[server]}" 54 --for 200)
		[ "$answered" = 0 ] || break
	done
	is "with both sides open port 54 answers over $family" yes "$([ "$answered" -gt 0 ] && echo yes)"
done
"$POLLOAD" apply one.bpf.o >/dev/null || bail "apply"

declare -A running=()
background() { # LABEL PROBE-ARGUMENT...: from the client
	local label=$1
	shift
	nsenter --net="/run/netns/$test_name-client" "$PROBE" "$@" >"said.$label" 2>&1 </dev/null &
	running[$label]=$!
}
on_cpu() { # CPU LABEL PROBE-ARGUMENT...
	local cpu=$1 label=$2
	shift 2
	nsenter --net="/run/netns/$test_name-client" taskset -c "$cpu" "$PROBE" "$@" >"said.$label" 2>&1 </dev/null &
	running[$label]=$!
}

cpus=$(nproc)
for family in v4 v6; do
	declare -n to=$family
	background "stream-$family" stream "${to[server]}" 7000 --interval 5 --timeout 20000
	background "tcp-$family" repeat tcp "${to[server]}" 7000 --interval 5 --timeout 20000
	background "udp-$family" repeat udp "${to[server]}" 53 --interval 5 --timeout 20000
	background "denied-$family" repeat tcp "${to[server]}" 80 --interval 5 --timeout 50
	background "rejected-$family" repeat tcp "${to[server]}" 9090 --interval 20 --timeout 20000
done
on_cpu 0 mixed-v4 flood "${v4[server]}" 54
on_cpu $((cpus - 1)) mixed-v6 flood "${v6[server]}" 54
sleep 0.2

failed=0
for i in $(seq "$applies"); do
	object=two
	[ $((i % 2)) = 1 ] || object=one
	# What the kernel verifies goes before the floods, or each apply would wait for them longer than it works.
	nice -n -10 "$POLLOAD" apply "$object.bpf.o" >/dev/null 2>apply.err || failed=$((failed + 1))
done
is "$applies applies succeed" 0 "$failed" || sed 's/^/# /' apply.err

kill -TERM "${running[@]}"
for label in "${!running[@]}"; do
	wait "${running[$label]}"
	is "$label ends well" 0 $?
done
for family in v4 v6; do
	read -r count how <"said.stream-$family"
	is "a $family connection lives through all of them" "open" "$how"
	is "and its echoes go on" yes "$([ "$count" -ge "$applies" ] && echo yes)"
	for proto in tcp udp; do
		read -r open _ refused _ unreachable _ timeout _ <"said.$proto-$family"
		is "no new $proto flow fails over $family" "0 0 0" "$refused $unreachable $timeout"
		is "and there were some in each policy" yes "$([ "$open" -ge "$applies" ] && echo yes)"
	done
	read -r open _ refused _ unreachable _ timeout _ <"said.denied-$family"
	is "nothing that both deny passes over $family" "0 0" "$open $refused"
	is "of many tries" yes "$([ "$timeout" -ge "$applies" ] && echo yes)"
	read -r open _ refused _ unreachable _ timeout _ <"said.rejected-$family"
	is "what both reject is always refused over $family" "0 0 0" "$open $unreachable $timeout"
	is "of many tries, too" yes "$([ "$refused" -ge "$applies" ] && echo yes)"
	read -r sent _ answered _ <"said.mixed-$family"
	is "no $family packet meets two policies" 0 "$answered"
	is "of 100,000 and more" yes "$([ "$sent" -ge 100000 ] && echo yes)"
	echo "# $family: $(cat said.stream-$family), tcp $(cat said.tcp-$family), udp $(cat said.udp-$family), denied $(cat said.denied-$family), mixed $(cat said.mixed-$family)"
done
finish
