#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The demo as a test: it runs, nothing is a mismatch, nothing is left behind, and README.md shows what it says.
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${top_builddir:-$top/build}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work NO_COLOR=1

if "$top/tests/demo/demo.sh" --build "$build" --no-kernel >"$work/said" 2>&1 &&
	grep -q 'by the reference evaluator' "$work/said"; then
	echo "ok 1 - without the kernel"
else
	cat "$work/said"
	echo "not ok 1 - without the kernel"
fi

"$top/tests/demo/demo.sh" --build "$build" >"$work/said" 2>&1
code=$?
cat "$work/said"
if why=$(grep '^BPF cannot be loaded here' "$work/said"); then
	echo "ok 2 - every flow is as the policy says # SKIP $why"
elif [ $code = 0 ] && ! grep -q MISMATCH "$work/said"; then
	echo "ok 2 - every flow is as the policy says"
else
	echo "not ok 2 - every flow is as the policy says"
fi

left=$(find "$work" -maxdepth 1 -name 'polc-demo.*')
if [ -z "$left" ]; then
	echo "ok 3 - nothing is left behind"
else
	echo "# $left"
	echo "not ok 3 - nothing is left behind"
fi

# The rows that README.md shows are rows of this one.
sed 's/^ *//' "$work/said" >"$work/rows"
other=$(sed -n '/ shop\.pol:[0-9]/s/^    \([a-z]* *> \)/\1/p' "$top/README.md" | tee "$work/shown" | grep -vxFf "$work/rows")
if [ -n "$why" ] || { [ -z "$other" ] && [ "$(wc -l <"$work/shown")" -gt 9 ]; }; then
	echo "ok 4 - README.md shows what it says"
else
	printf '%s\n' "$other" | sed 's/^/# /'
	echo "not ok 4 - README.md shows what it says"
fi
echo "1..4"
