#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Mutants of compiled objects, all caught by verify: 20 policies, 60 mutants of each.
# The first seven are the examples, the others are random; POLC_SEED repeats a run.
set -u
build=${top_builddir:-build}
tree=${top_srcdir:-.}
seed=${POLC_SEED:-${POLC_NEW_SEED:-$(date +%s)}}
number=${POLC_MUTANTS:-60}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
tests=0 policies=0

check() { # NAME POLICY
	local said not=
	"$POLC" "$2" -o "$work/object" >"$work/said" 2>&1 || return
	policies=$((policies + 1))
	tests=$((tests + 1))
	said=$("$build/tests/verify/mutants" "$work/object" "$2" "$number" "$seed" 2>&1) || not='not '
	[ -z "$not" ] || printf '%s\n' "$said" | sed 's/^/# /'
	echo "${not}ok $tests - $1: ${said##*$'\n'}"
}

echo "# seed $seed"
for policy in "$tree"/lang/examples/*.pol "$tree"/lang/examples/full/*.pol; do
	check "${policy##*/}" "$policy"
done
for ((i = 0; policies < 20 && i < 100; i++)); do
	"$build/tests/tools/polgen" $((seed + i)) >"$work/random.pol"
	check "random policy $((seed + i))" "$work/random.pol"
done
tests=$((tests + 1))
[ $policies -ge 20 ] && echo "ok $tests - $policies policies" || echo "not ok $tests - only $policies policies"
echo "1..$tests"
