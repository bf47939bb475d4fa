#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# rollback goes to the policy before, with today's endpoints; remove leaves nothing.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

pristine() { # what must be the same before apply and after remove
	find bpf state -mindepth 1 ! -name "*.debug"
	ip -o link | sed 's/^[0-9]*: //; s/[@:].*//' | while read -r dev; do
		tc qdisc show dev "$dev"
		tc filter show dev "$dev" ingress
		tc filter show dev "$dev" egress
	done
}

shop_containers
shop_compile
container later 3 "app: client"
tc qdisc add dev v-later clsact
at_first=$(pristine)

run "$POLLOAD" rollback
is "rollback without a policy: the answer is no" 1 "$code"
host_file client >host.yaml
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
run "$POLLOAD" rollback
is "rollback with one policy only" 1 "$code"
like "says why" "no policy to go back to" "$err"
"$POLLOAD" apply two.bpf.o >/dev/null || bail "apply"
for name in server later; do
	"$POLLOAD" endpoint add "$name" "interface=v-$name" "address=${v4[$name]}" \
		"address=${v6[$name]}" "label=${labels[$name]/: /=}" || bail "endpoint add"
done
phase="two in force"
shop_in_force two
run "$POLLOAD" rollback
is "rollback" 0 "$code"
like "says to what" "one.pol is in force" "$out"
phase="back to one"
shop_in_force one
expect open later server tcp 8080
run "$POLLOAD" rollback
is "rollback again" 0 "$code"
phase="forth to two"
shop_in_force two

tc qdisc add dev v-later clsact 2>/dev/null
run "$POLLOAD" remove
is "remove" 0 "$code"
is "leaves nothing behind, and a qdisc that was not ours" "$at_first" "$(pristine)"
run "$POLLOAD" remove
is "remove again" 0 "$code"
like "says that there was nothing" "nothing to remove" "$out"
phase="removed"
expect open client server tcp 8080
expect open client server tcp 8081
finish
