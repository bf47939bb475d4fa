#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Fuzzes the parser from a corpus of every policy in the tree.
#   POLC_FUZZ_SECONDS=N (60)   POLC_FUZZ_SEED=N (by the clock, printed)
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${top_builddir:-$top/build}
fuzzer=$build/tests/fuzz/parse-fuzzer
seconds=${POLC_FUZZ_SECONDS:-60}
case $build in
*/_build/sub) seconds=${POLC_FUZZ_SECONDS:-10} ;; # distcheck
esac
seed=${POLC_FUZZ_SEED:-$(date +%s)}
work=$build/tests/fuzz/run
[ -x "$fuzzer" ] || {
	echo "no fuzzer at $fuzzer"
	exit 99
}
rm -rf "$work"
mkdir -p "$work/corpus" "$work/grown" && cd "$work" || exit 99

n=0
while read -r file; do
	n=$((n + 1))
	cp "$file" "corpus/$n-$(basename "$file")"
done < <(find "$top/lang/examples" "$top/tests" -name '*.pol' -size -64k ! -path '*/sanitize.dir*' | sort)
[ -d "$top/tests/fuzz/seeds" ] && cp "$top"/tests/fuzz/seeds/* corpus/
printf 'import "b.pol";\ndefault deny;\n\036cidr x = file "l.txt" or none;\n\036\036192.0.2.0/24\n' >corpus/many

# Every word of the language, and some values on its edges.
{
	sed -n 's/^%token.* "\([a-z0-9]*\)"$/"\1"/p' "$top/lang/parse.y"
	printf '"%s"\n' '0-65535' '200/s' '10.0.0.0/8' '::/0' '64:ff9b::/96' '\\x1e' 'default deny;' \
		'policy x { allow from any; }' 'endpoint x = true;'
} >words

echo "seed $seed, $seconds s, $n policies"
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
if "$fuzzer" -max_total_time="$seconds" -seed="$seed" -max_len=16384 -timeout=10 -rss_limit_mb=2048 \
	-dict=words -print_final_stats=1 -artifact_prefix="$work/" grown corpus >out 2>&1; then
	grep -E 'number_of_executed_units|^[0-9]+ (runs|inputs)|DONE' out | sed 's/^/# /'
	echo "ok 1 - the parser, $seconds seconds"
else
	tail -n 60 out | sed 's/^/# /'
	echo "# seed $seed; the input is in $work"
	echo "not ok 1 - the parser, $seconds seconds"
fi
echo "1..1"
