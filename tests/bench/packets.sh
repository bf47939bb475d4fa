#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What a packet costs in the kernel, by BPF_PROG_TEST_RUN (bench.c): as the rules grow, as the flows grow, as the
# endpoints of the host grow.  Environment: BENCH, the program of bench.c; and as lib.sh says.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
bench=${BENCH:-$e2e_build/tests/bench/bench}
[ -x "$bench" ] || skip "$bench is not built"
export POLC_BENCH=$here

curve() { # EXPERIMENT ROUNDS SUBJECT...
	"$bench" --rounds "$2" "$1" "${@:3}" >>"$BENCH_CSV" || failed=1
}

failed=0
few=rules=100,prefixes=100000
# shellcheck disable=SC2046
{
	curve rules "$(rounds 15 3)" $(quick "rules=10 rules=100 rules=1000 rules=10000 rules=30000 $few" "rules=10 rules=10000")
	curve flows "$(rounds 9 2)" $(quick "flows=1 flows=64 flows=1024 flows=8192 flows=65536 flows=262144 flows=1048576" "flows=1024 flows=65536")
	curve endpoints "$(rounds 9 2)" $(quick "endpoints=1 endpoints=16 endpoints=128 endpoints=1024 endpoints=4096 endpoints=16384" "endpoints=1 endpoints=1024")
}
bench_done
exit $failed
