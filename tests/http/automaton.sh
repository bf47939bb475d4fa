#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The automata of http blocks against PCRE2, from a new seed each time (POLC_SEED gives one).
set -u
build=${top_builddir:-build}
seed=${POLC_SEED:-${POLC_NEW_SEED:-$(date +%s)}}
tests=0

run() { # LABEL ARGUMENT...
	local label=$1 said not=
	shift
	tests=$((tests + 1))
	said=$("$build/tests/http/automaton" --seed "$seed" "$@" 2>&1) || not='not '
	printf '%s\n' "$said" | sed 's/^/# /'
	echo "${not}ok $tests - $label, seed $seed"
}

run "1,000 rule sets, 1,000 strings each" --sets 1000 --strings 1000
run "what is falsified is noticed" --self-test --sets 100
echo "1..$tests"
