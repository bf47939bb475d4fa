#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Filters in the kernel against the evaluator: random ones, and where the corpus is, five-tuple rule
# sets and an address list of others.  A longer run is
#	tests/property/filters --objects 1000 --packets 2000
set -u
prog=${top_builddir:-build}/tests/property/filters
corpus=${POLC_CORPUS:-${top_srcdir:-.}/../shared/corpus}
failed=0
ran() { # WHAT CODE
	case $2 in
	0) echo "ok - $1" ;;
	77) echo "needs root, network namespaces and BPF"; exit 77 ;;
	*) echo "not ok - $1"; failed=1 ;;
	esac
}
"$prog" --self-test
ran "wrong tables are noticed" $?
"$prog" --objects 3 --packets 2000
ran "30 random filters" $?
for set in acl1_1k fw1_1k ipc1_1k; do
	[ -r "$corpus/classbench/$set" ] || continue
	"$prog" --rules "$corpus/classbench/$set" --packets 5000
	ran "$set" $?
done
if [ -r "$corpus/blocklist/hosts.txt" ]; then
	"$prog" --list "$corpus/blocklist/hosts.txt" --packets 5000
	ran "an address list" $?
fi
exit $failed
