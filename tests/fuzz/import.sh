#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Fuzzes `polc import` from a small corpus of manifests.
#   POLC_FUZZ_SECONDS=N (20)   POLC_FUZZ_SEED=N (by the clock, printed)
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${top_builddir:-$top/build}
fuzzer=$build/tests/fuzz/import-fuzzer
seconds=${POLC_FUZZ_SECONDS:-20}
seed=${POLC_FUZZ_SEED:-$(date +%s)}
work=$build/tests/fuzz/run-import
[ -x "$fuzzer" ] || {
	echo "no fuzzer at $fuzzer"
	exit 99
}
rm -rf "$work"
mkdir -p "$work/corpus" "$work/grown" && cd "$work" || exit 99
cp "$top"/tests/fuzz/import-corpus/* corpus/

echo "seed $seed, $seconds s"
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
if "$fuzzer" -max_total_time="$seconds" -seed="$seed" -max_len=16384 -timeout=10 -rss_limit_mb=2048 \
	-print_final_stats=1 -artifact_prefix="$work/" grown corpus >out 2>&1; then
	grep -E 'number_of_executed_units|^[0-9]+ (runs|inputs)|DONE' out | sed 's/^/# /'
	echo "ok 1 - the importer, $seconds seconds"
else
	tail -n 60 out | sed 's/^/# /'
	echo "# seed $seed; the input is in $work"
	echo "not ok 1 - the importer, $seconds seconds"
fi
echo "1..1"
