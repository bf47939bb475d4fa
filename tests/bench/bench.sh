#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Everything that `make bench` measures, as Markdown; CSV files beside it.
#
#	bench.sh [FOLDER]	where the CSV files go (bench-results)
#
# Environment: as bench.c, compile.sh and wire.sh say, and BENCH and FLOWS, the programs of
# bench.c and flows.c.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-bench-results}
mkdir -p "$out"

printf '## %s, Linux %s, %s\n' "$(date -u +%Y-%m-%d)" "$(uname -r)" "$("${CLANG:-clang}" --version | head -n1)"
printf '\n%s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1), $(nproc) CPUs, load $(cut -d' ' -f1-3 /proc/loadavg)"
"${BENCH:-$here/bench}" --csv "$out/packets.csv"
printf '\n### Flows\n'
"${FLOWS:-$here/flows}"
printf '\n### Over veth\n\n'
"$here/wire.sh"
printf "\n### Filters\n\n"
"$here/edge.sh"
printf '\n### Services\n\n'
"$here/services.sh"
echo
"$here/guard.sh"
printf '\n### Compiling\n\n'
"$here/compile.sh" --csv "$out/compile.csv"
printf "\n### Questions\n\n"
"$here/analysis.sh"
printf '\n'
"$here/proxy.sh"
