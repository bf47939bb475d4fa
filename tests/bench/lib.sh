# shellcheck shell=bash disable=SC2034
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
#
# What the measuring scripts share.  One begins with
#
#	here=$(cd "$(dirname "$0")" && pwd)
#	. "$here/lib.sh"
#
# which is tests/e2e/lib.sh (namespaces of its own, containers, compile) and the functions below, and
# ends with bench_done.  It writes what it measures as it goes, one line a measurement, to $BENCH_CSV:
#
#	experiment,case,peer,metric,unit,round,value
#
# case is "key=value key=value", the same keys in the same order for all of an experiment; round counts from 1, and
# what is measured beside each other in one round has the same: quotients and differences are taken within
# a round, because a virtual machine has faster and slower times.  Medians are the report's business
# (report/stats.awk), not the scripts'.  A value that cannot be had has the metric "cannot" and says why.
#
# Environment: BENCH_QUICK=1: few rounds and sizes, to see that all works; ROUNDS.
# Without BENCH_CSV the script is run alone: bench_done prints what came out.

bench_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -z "${BENCH_CSV:-}" ] || BENCH_CSV=$(realpath "$BENCH_CSV")
. "$bench_tree/../e2e/lib.sh"
bench_alone=${BENCH_CSV:+no}
: "${BENCH_CSV:=$work/samples.csv}"

sample() { # EXPERIMENT CASE PEER METRIC UNIT ROUND VALUE
	[ $# = 7 ] && [ -n "$7" ] || { echo "no value: $*" >&2; return 0; }
	printf '%s,%s,%s,%s,%s,%s,%s\n' "$@" >>"$BENCH_CSV"
}

cannot() { # EXPERIMENT CASE PEER WHY...: no such row, and why
	local why=${*:4}
	printf '%s,%s,%s,cannot,,,%s\n' "$1" "$2" "$3" "${why//,/;}" >>"$BENCH_CSV"
}

quick() { # USUAL QUICK
	if [ -n "${BENCH_QUICK:-}" ]; then echo "$2"; else echo "$1"; fi
}

rounds() { # USUAL QUICK: how many
	echo "${ROUNDS:-$(quick "$1" "$2")}"
}

mac_of() { # [NAME] DEVICE: of a device of the host, or in a container
	if [ $# = 2 ]; then inside "$1" cat "/sys/class/net/$2/address"; else cat "/sys/class/net/$1/address"; fi
}

bench_done() {
	[ -n "$bench_alone" ] || bash "$bench_tree/report/report.sh" summary "$BENCH_CSV"
}
