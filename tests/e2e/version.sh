#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# polload of another version finds what this one pinned, under traffic: with the same layout of what
# outlives a run it takes over the live connections; with another it refuses every change, says why and what next,
# and what is in force stays in force, whole.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"
repin=${REPIN:-$e2e_build/tests/tools/repin}
[ -x "$repin" ] || skip "$repin is not built"

shop_containers
shop_compile
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
shop_streams

# ---- another ABI of objects, the same layout of what outlives a run: upgrade, downgrade ----

for abi in 4 99; do
	"$repin" bpf/polc abi "$abi" || bail "repin"
	run "$POLLOAD" status
	is "status over state of ABI $abi" 0 "$code"
	run "$POLLOAD" apply two.bpf.o
	is "apply over it" "0 " "$code $err"
	shop_goes_on "takes the connections over"
	shop_in_force two
	run "$POLLOAD" rollback
	is "and back" "0 " "$code $err"
	shop_in_force one
done

# ---- another layout ---------------------------------------------------------------------------

"$repin" bpf/polc layout 1000 || bail "repin"
before=$(find bpf state -printf '%p %i\n' | grep -v debug | sort)
refused() { # WHAT COMMAND...
	run "${@:2}"
	is "$1 is refused" 2 "$code"
	like "$1: why" "layout" "$err"
	like "$1: what next" "remove" "$err"
}
refused apply "$POLLOAD" apply two.bpf.o -H host.yaml
refused shadow "$POLLOAD" apply --shadow two.bpf.o
refused rollback "$POLLOAD" rollback
refused "endpoint del" "$POLLOAD" endpoint del client
is "nothing has changed" "$before" "$(find bpf state -printf '%p %i\n' | grep -v debug | sort)"
shop_goes_on "the connections go on"
phase="what was in force is"
shop_in_force one
phase="afterwards"
run "$POLLOAD" remove
is "remove of this version does it too" "0 " "$code $err"
is "nothing is left" "" "$(find bpf state -mindepth 1 ! -name "*.debug")$(tc qdisc show | grep clsact)"
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "apply" "0 " "$code $err"
shop_goes_on "and takes over once more"
shop_streams_end
finish
