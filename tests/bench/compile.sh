#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What compiling costs, clang included: wall-clock, user and system seconds, and the peak
# of resident memory of polc and clang together.  A Markdown table, and CSV with --csv FILE.
#
#	compile.sh [--runs N] [--csv FILE]
#
# Environment: POLC (the compiler), BENCHGEN and MEASURE (programs of this folder),
# POLC_TEMPLATES, POLC_INCLUDE.  The median of the runs by wall-clock is printed.
set -euo pipefail

runs=3
csv=
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=$2; shift 2 ;;
	--csv) csv=$2; shift 2 ;;
	*) echo "usage: compile.sh [--runs N] [--csv FILE]" >&2; exit 2 ;;
	esac
done

here=$(cd "$(dirname "$0")" && pwd)
polc=${POLC:-$here/../../polc}
benchgen=${BENCHGEN:-$here/benchgen}
measure=${MEASURE:-$here/measure}
dir=$(mktemp -d "${TMPDIR:-/tmp}/polc-compile.XXXXXX")
trap 'rm -rf "$dir"' EXIT

[ -z "$csv" ] || echo "rules,prefixes,run,wall_s,user_s,system_s,peak_mib" >"$csv"
printf '| rules | prefixes | wall s [all runs] | user s | system s | peak MiB | aim |\n'
printf '|---|---|---|---|---|---|---|\n'

# size RULES PREFIXES AIM
size() {
	local i all
	"$benchgen" "$1" "$2" 1 "$dir"
	: >"$dir/runs"
	for ((i = 1; i <= runs; i++)); do
		if ! "$measure" "$polc" "$dir/bench.pol" -o "$dir/bench.bpf.o" >"$dir/one" 2>"$dir/errors"; then
			printf '| %s | %s | failed: %s | | | | %s |\n' "$1" "$2" "$(head -n1 "$dir/errors")" "$3"
			return
		fi
		tail -n1 "$dir/one" >>"$dir/runs"
		[ -z "$csv" ] || echo "$1,$2,$i,$(tail -n1 "$dir/one" | tr ' ' ,)" >>"$csv"
	done
	all=$(cut -d' ' -f1 "$dir/runs" | paste -sd' ')
	# shellcheck disable=SC2046
	set -- "$1" "$2" "$3" $(sort -n "$dir/runs" | sed -n "$(((runs + 1) / 2))p")
	printf '| %s | %s | %s [%s] | %s | %s | %s | %s |\n' "$1" "$2" "$4" "$all" "$5" "$6" "$7" "$3"
}

size 10 0 ""
size 100 0 "< 1 s"
size 1000 0 ""
size 10000 0 "< 5 s"
size 100 100000 "< 15 s, < 1024 MiB"
size 100 500000 ""
