#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The property test as `make check` runs it: enough policies for a verdict, from a new
# seed each time (POLC_SEED gives one).  Without the kernel the rest of it runs still.
set -u
build=${top_builddir:-build}
seed=${POLC_SEED:-${POLC_NEW_SEED:-$(date +%s)}}
policies=${POLC_POLICIES:-60}
case $build in
*/_build/sub) policies=${POLC_POLICIES:-30} ;; # distcheck asks whether it works at all
esac
tests=0

run() { # LABEL ARGUMENT...: 0 done, 77 skipped
	local label=$1 code
	shift
	tests=$((tests + 1))
	"$build/tests/property/property" --seed "$seed" --jobs "${POLC_JOBS:-2}" "$@" >"$work/said" 2>&1
	code=$?
	sed 's/^/# /' "$work/said"
	case $code in
	0) echo "ok $tests - $label, seed $seed" ;;
	77) echo "ok $tests - $label # SKIP $(tail -n 1 "$work/said")" ;;
	*) echo "not ok $tests - $label, seed $seed" ;;
	esac
	return $code
}

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
run "$policies policies, tables and kernel" --policies "$policies" --packets 6000
if [ $? = 77 ]; then
	run "$policies policies, tables only" --policies "$policies" --no-kernel
fi
run "what is falsified is noticed" --self-test --policies 5
echo "1..$tests"
