#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Applies that fail say why and change nothing.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile

refuses() { # WHAT CODE PATTERN COMMAND...
	local what=$1 want=$2 pattern=$3
	shift 3
	run "$@"
	is "$what: exit code" "$want" "$code"
	like "$what: says why" "$pattern" "$err"
	is "$what: nothing on standard output" "" "$out"
	is "$what: nothing changed" "$before" "$(snapshot)"
}

all_refusals() {
	before=$(snapshot)
	refuses "no such object" 2 "cannot open" "$POLLOAD" apply none.bpf.o -H host.yaml
	echo "not an object" >bad.bpf.o
	refuses "not an object" 2 "bad.bpf.o" "$POLLOAD" apply bad.bpf.o -H host.yaml
	head -c "$(($(stat -c %s two.bpf.o) / 2))" two.bpf.o >short.bpf.o
	refuses "half an object" 2 "short.bpf.o" "$POLLOAD" apply short.bpf.o -H host.yaml
	objcopy --dump-section .polc.manifest=manifest two.bpf.o /dev/null 2>/dev/null ||
		llvm-objcopy --dump-section .polc.manifest=manifest two.bpf.o /dev/null
	sed 's/^abi: .*/abi: 999/' manifest >manifest.other
	cp two.bpf.o abi.bpf.o
	if llvm-objcopy --update-section .polc.manifest=manifest.other abi.bpf.o 2>/dev/null ||
		objcopy --update-section .polc.manifest=manifest.other abi.bpf.o 2>/dev/null; then
		refuses "of another ABI" 2 "abi" "$POLLOAD" apply abi.bpf.o -H host.yaml
	fi
	sed 's/v-server/v-nobody/' host.yaml >missing.yaml
	refuses "no such interface" 2 "there is no interface 'v-nobody'" \
		"$POLLOAD" apply two.bpf.o -H missing.yaml
	sed "s/${v4[server]}/${v4[client]}/" host.yaml >twice.yaml
	refuses "an address twice" 2 "twice.yaml:" "$POLLOAD" apply two.bpf.o -H twice.yaml
	sed 's/endpoints:/endpionts:/' host.yaml >typo.yaml
	refuses "an unknown key" 2 "typo.yaml:3:1" "$POLLOAD" apply two.bpf.o -H typo.yaml
	refuses "no capability" 3 "missing capability: CAP_BPF" \
		setpriv --bounding-set=-bpf,-sys_admin --inh-caps=-all "$POLLOAD" apply two.bpf.o -H host.yaml
	refuses "no privilege at all" 3 "missing capability" \
		setpriv --reuid=65534 --clear-groups env "PATH=$PATH" "$work/polload" apply two.bpf.o -H host.yaml
	mount -t tmpfs -o size=64k tmpfs full
	refuses "disk full" 3 "No space left on device" \
		env POLC_STATE_DIR="$work/full/polc" "$POLLOAD" apply two.bpf.o -H host.yaml
	umount full
	refuses "not on bpffs" 3 "not on a BPF file system" \
		"$POLLOAD" apply two.bpf.o -H host.yaml --bpffs "$work/plain/polc"
	like "and how to mount one" "mount -t bpf" "$err"
	chmod 666 two.bpf.o
	refuses "an object that others may write" 2 "two.bpf.o" "$POLLOAD" apply two.bpf.o -H host.yaml
	chmod 644 two.bpf.o
	ip link add link v-client name mv0 type macvlan 2>/dev/null && {
		sed 's/v-server/mv0/' host.yaml >macvlan.yaml
		refuses "a macvlan device" 2 "macvlan" "$POLLOAD" apply two.bpf.o -H macvlan.yaml
		ip link del mv0
	}
	refuses "an unknown option" 2 "no such option" "$POLLOAD" apply two.bpf.o --hurry
	refuses "a misspelt option" 2 "did you mean --audit" "$POLLOAD" apply two.bpf.o --adit
	refuses "a misspelt command" 2 "did you mean apply" "$POLLOAD" aply two.bpf.o
}

mkdir full plain
chmod 755 "$work"
cp "$POLLOAD" polload
phase="nothing in force"
run "$POLLOAD" status
is "status without a policy" 1 "$code"
like "says so" "no policy is in force" "$err"
all_refusals
is "nothing is left of a first apply that failed" "" "$(find bpf state -mindepth 1 ! -name "*.debug")"

"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"
phase="one in force"
all_refusals
shop_in_force one

phase="a vanished interface"
run "$POLLOAD" apply one.bpf.o -H host.yaml
ip link del v-client
run "$POLLOAD" status
is "status" 1 "$code"
like "names it" "MISSING     endpoint 'client': its interface is gone" "$out"
run "$POLLOAD" apply two.bpf.o
is "apply without a host file goes on" 0 "$code"
like "with a note" "the interface of endpoint 'client' is gone" "$err"
run "$POLLOAD" apply two.bpf.o -H host.yaml
is "apply with the host file refuses" 2 "$code"
like "and names it" "there is no interface 'v-client'" "$err"
finish
