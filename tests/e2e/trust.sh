#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Who may decide what this host lets through: owners of objects, host files and folders.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/shop.sh"

shop_containers
shop_compile
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"

apply() { # WHAT PATTERN ARGUMENT...: refused, and nothing changed; without a pattern: accepted
	local what=$1 pattern=$2 before
	shift 2
	before=$(snapshot)
	run "$POLLOAD" apply "$@"
	if [ -z "$pattern" ]; then
		is "$what: accepted" "0 " "$code $err"
		return
	fi
	is "$what: refused" 2 "$code"
	like "$what: says why" "$pattern" "$err"
	like "$what: says what to do" "= help: " "$err"
	is "$what: nothing changed" "$before" "$(snapshot)"
}

# ---- owners ------------------------------------------------------------------------

install -m 664 two.bpf.o group.bpf.o
apply "an object that a group may write" "mode 0664" group.bpf.o
install -o 1234 two.bpf.o foreign.bpf.o
apply "somebody's object" "belongs to user 1234" foreign.bpf.o
install -m 666 host.yaml open.yaml
apply "a host file that all may write" "mode 0666" two.bpf.o -H open.yaml
install -o 1234 host.yaml foreign.yaml
apply "somebody's host file" "belongs to user 1234" two.bpf.o -H foreign.yaml
mkdir -m 777 shared
cp two.bpf.o shared
apply "an object in a folder that all may write" "folder $work/shared" shared/two.bpf.o
ln -s shared/two.bpf.o by-link.bpf.o
apply "the same by a link" "folder $work/shared" by-link.bpf.o
chmod 1777 shared
apply "in a sticky folder" "" shared/two.bpf.o
ln -s "$work/two.bpf.o" shared/link.bpf.o
chown -h 1234 shared/link.bpf.o
apply "somebody's link" "symbolic link" shared/link.bpf.o
apply "a host file from a pipe of ours" "" two.bpf.o -H <(cat host.yaml)
finish
