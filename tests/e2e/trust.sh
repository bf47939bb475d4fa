#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Who may decide what this host lets through: owners of objects, host files and folders.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

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

# ---- the kernel ----------------------------------------------------------------------

knob=/proc/sys/kernel/unprivileged_bpf_disabled
echo 0 >zero
mount --bind zero $knob || bail "cannot put a file before $knob"
before=$(snapshot)
run "$POLLOAD" apply one.bpf.o
is "a kernel that takes BPF from anybody: refused" 3 "$code"
like "says why" "kernel.unprivileged_bpf_disabled is 0" "$err"
like "says what to do" "sysctl -w kernel.unprivileged_bpf_disabled" "$err"
is "nothing changed" "$before" "$(snapshot)"
run "$POLLOAD" apply one.bpf.o --allow-unprivileged-bpf
is "unless one says so" "0 " "$code $err"
for value in 1 2; do
	echo $value >zero
	run "$POLLOAD" apply one.bpf.o
	is "$value is enough" "0 " "$code $err"
done
umount $knob

# ---- pins and folders -------------------------------------------------------------------

modes() { # FOLDER: what is open to others
	find "$1" -perm /077 ! -type l -printf '%m %P\n'
}

"$POLLOAD" remove >/dev/null || bail "remove"
(umask 0; "$POLLOAD" apply two.bpf.o -H host.yaml >/dev/null) || bail "apply"
"$POLLOAD" apply one.bpf.o >/dev/null || bail "apply"
is "pins: nobody else may use them, whatever the umask" "" "$(modes bpf/polc)"
is "there are some" yes "$([ "$(find bpf/polc -type f | wc -l)" -gt 10 ] && echo yes)"
is "the folder of the objects is closed" "700 root" "$(stat -c '%a %U' "$POLC_STATE_DIR")"
run setpriv --reuid=65534 --clear-groups cat "$POLC_STATE_DIR/gen-2.bpf.o"
is "nobody else reads an object" 1 "$code"

refuses() { # WHAT PATTERN COMMAND...
	local what=$1 pattern=$2
	shift 2
	run "$@"
	is "$what: refused" 3 "$code"
	like "$what: says why" "$pattern" "$err"
	like "$what: says what to do" "= help: " "$err"
}

chmod 711 bpf/polc
refuses "pins that others may reach" "others may enter this folder" "$POLLOAD" status
refuses "pins that others may reach" "others may enter this folder" "$POLLOAD" apply two.bpf.o
chmod 700 bpf/polc
chown 1234 bpf/polc
refuses "pins in somebody's folder" "1234" "$POLLOAD" apply two.bpf.o
chown 0 bpf/polc
chmod 770 state/polc
refuses "an open folder of objects" "state/polc" "$POLLOAD" rollback
refuses "an open folder of objects" "state/polc" "$POLLOAD" apply two.bpf.o
refuses "an open folder of objects" "state/polc" "$POLLOAD" rules
chmod 700 state/polc
chmod 777 state
refuses "an open folder above it" "folder $work/state " "$POLLOAD" apply two.bpf.o
chmod 755 state
mkdir -m 700 elsewhere
ln -s "$work/elsewhere" somebodys
chown -h 1234 somebodys
refuses "somebody's link as state folder" "symbolic link" "$POLLOAD" apply two.bpf.o --state-dir "$work/somebodys"
is "nothing was written through it" "" "$(ls elsewhere)"
mkdir -m 777 open
mkdir -m 700 open/bpf
mount -t bpf bpf open/bpf
refuses "a BPF file system in a folder that all may write" "folder $work/open " \
	"$POLLOAD" apply two.bpf.o --bpffs "$work/open/bpf/polc" --state-dir "$work/elsewhere"
shop_in_force one
run "$POLLOAD" apply two.bpf.o
is "all as it should be: accepted" "0 " "$code $err"
finish
