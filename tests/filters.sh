#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Filters in the kernel against the evaluator: random ones, and where the corpus is, five-tuple rule
# sets and an address list of others.  A longer run is
#	tests/property/filters --objects 1000 --packets 2000
set -u
prog=${top_builddir:-build}/tests/property/filters
corpus=${POLC_CORPUS:-${top_srcdir:-.}/../shared/corpus}
seed=${POLC_SEED:-${POLC_NEW_SEED:-$(date +%s)}}
failed=0
ran() { # WHAT CODE
	case $2 in
	0) echo "ok - $1" ;;
	77) echo "needs root, network namespaces and BPF"; exit 77 ;;
	*) echo "not ok - $1"; failed=1 ;;
	esac
}
"$prog" --seed "$seed" --self-test
ran "wrong tables are noticed" $?
"$prog" --seed "$seed" --objects 3 --packets 2000
ran "30 random filters" $?
for set in acl1_1k fw1_1k ipc1_1k; do
	[ -r "$corpus/classbench/$set" ] || continue
	"$prog" --seed "$seed" --rules "$corpus/classbench/$set" --packets 5000
	ran "$set" $?
done

# more lines of one pair of networks than a byte counts, and more sources than a half has numbers
rules=$(mktemp)
trap 'rm -f "$rules"' EXIT
seq 700 | awk '{ printf "@0.0.0.0/0\t10.0.0.0/%d\t0 : 65535\t%d : %d\t0x06/0xFF\n", 8 + $1 % 2, 3 * $1, 3 * $1 }' >"$rules"
"$prog" --seed "$seed" --rules "$rules" --packets 5000
ran "700 lines of two networks" $?
seq 67000 | awk '{ printf "@10.%d.%d.%d/32\t%d.0.0.0/8\t0 : 65535\t%d : %d\t0x06/0xFF\n",
	$1 / 65536, $1 / 256 % 256, $1 % 256, 11 + $1 % 200, $1 % 100, $1 % 100 }' >"$rules"
"$prog" --seed "$seed" --rules "$rules" --packets 500
ran "67,000 sources" $?
if [ -r "$corpus/blocklist/hosts.txt" ]; then
	"$prog" --seed "$seed" --list "$corpus/blocklist/hosts.txt" --packets 5000
	ran "an address list" $?
fi
exit $failed
