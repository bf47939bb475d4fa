#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Filters at XDP by BPF_PROG_TEST_RUN (filters.c), on the five-tuple rule sets of the corpus: experiments `filters`, `filters-streamed`.
#
#	filters.sh
#
# Environment: FILTERS, the program of filters.c; POLC_CORPUS; and as lib.sh says.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
filters=${FILTERS:-$e2e_build/tests/bench/filters}
corpus=${POLC_CORPUS:-$e2e_tree/../shared/corpus}/classbench
[ -x "$filters" ] || skip "$filters is not built"
[ -e "$corpus/acl1_1k" ] || skip "no rule sets: POLC_CORPUS"

subjects=()
for lines in $(quick "10 1000 10000 100000" "10 1000"); do
	for set in acl1_1k fw1_1k ipc1_1k; do
		subjects+=("$corpus/$set:$(((lines + 899) / 900 + 5)):$lines")
	done
done
"$filters" --rounds "$(rounds 9 2)" "${subjects[@]}" >>"$BENCH_CSV" || exit 1
bench_done
