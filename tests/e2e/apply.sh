#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# First apply; what is allowed, denied and rejected over v4 and v6; a second apply under
# a live transfer.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile
phase="before any policy"
expect open client server tcp 8080
expect refused client server tcp 1234

phase="policy one"
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "apply" 0 "$code" || echo "# $err"
like "apply says what is in force" "one.pol is in force: generation 1, 2 endpoints here" "$out"
is "apply is quiet on standard error" "" "$err"
shop_in_force one
expect open client server udp 53
expect timeout client server udp 54
expect refused client server tcp 9090
expect open client server ping
expect open world server tcp 80
expect timeout world server tcp 8080
expect timeout world client tcp 80
expect timeout server client tcp 80
expect timeout server client ping

run "$POLLOAD" status
is "status: all in place" 0 "$code"
like "status counts hooks" "3 of 3 interfaces" "$out"
like "status names drops" "policy:" "$out"
run "$POLLOAD" status --json
is "status --json is JSON" 1 "$(jq .generation <<<"$out")"
run "$POLLOAD" rules --json
is "a rule that was used has connections" true \
	"$(jq '[.[] | select(.direction == "ingress" and (.text | test("tcp 7000, 8080"))) | .connections > 0] | any' <<<"$out")"
run "$POLLOAD" rules
like "rules names file and line" "one.pol:12" "$out"

spawn client "$PROBE" stream "${v4[server]}" 7000 --interval 5 --timeout 20000 --count n.a
a=$spawned
spawn client "$PROBE" stream "${v6[server]}" 7000 --interval 5 --timeout 20000 --count n.b
b=$spawned
spawn client "$PROBE" stream "${v4[server]}" 8080 --interval 5 --timeout 20000 --count n.gone
gone=$spawned
echoing n.a n.b n.gone
run "$POLLOAD" flows
like "flows shows a live one by name" "-> server 10.66.2.2:7000" "$out"
run "$POLLOAD" flows --json
is "flows --json is JSON" true "$(jq 'length >= 3' <<<"$out")"

phase="policy two"
for _ in 1 2 3 4 5; do
	"$POLLOAD" apply two.bpf.o >/dev/null || not_ok "apply again"
	"$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply again"
done
"$POLLOAD" apply two.bpf.o >/dev/null || not_ok "apply again"
shop_in_force two
expect refused client server tcp 9090
expect open world server tcp 80
kill -USR1 "$gone"
wait "$gone"
is "a live transfer that is no longer allowed ends" 3 $?
kill -TERM "$a" "$b"
wait "$a"
is "a live v4 transfer that both allow goes on through 11 applies" 0 $?
wait "$b"
is "a live v6 transfer too" 0 $?
is "one generation is left" 1 "$(find bpf/polc -maxdepth 1 -name 'gen_*' | wc -l)"
is "two objects are kept" 2 "$(find "$POLC_STATE_DIR" -type f -name 'gen-*' | wc -l)"
is "and one for the boot" "$(readlink "$POLC_STATE_DIR/good")" "$(cd "$POLC_STATE_DIR" && ls -d good-*)"

"$POLLOAD" apply one.bpf.o -H host.yaml --audit >/dev/null
phase="audit"
expect open client server tcp 8081
like "status says that it only audits" "audit" "$("$POLLOAD" status)"

phase="the server is no longer in the host file"
host_file client >fewer.yaml
run "$POLLOAD" apply one.bpf.o -H fewer.yaml
is "apply" 0 "$code"
is "its hooks are gone" "" "$(tc filter show dev v-server ingress)$(tc filter show dev v-server egress)"
is "and the qdisc that was ours" "" "$(tc qdisc show dev v-server clsact)"
finish
