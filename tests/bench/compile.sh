#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What compiling costs, clang included: seconds, and the peak of resident memory of polc and clang together (experiment
# `compile`, policies of benchgen). And the same rules for all (`translate`): to an object by polc, checked but not
# installed by nft, one rule a line and folded by its optimiser.
#
#	compile.sh
#
# Environment: BENCHGEN and MEASURE (programs of this folder), and as lib.sh says.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
benchgen=${BENCHGEN:-$e2e_build/tests/bench/benchgen}
measure=${MEASURE:-$e2e_build/tests/bench/measure}
for program in "$benchgen" "$measure"; do
	[ -x "$program" ] || skip "$program is not built"
done
often=$(rounds 3 1)

taken() { # EXPERIMENT CASE PEER ROUND COMMAND...
	local wall user system peak
	# shellcheck disable=SC2016
	if "$measure" sh -c '"$@" >/dev/null' sh "${@:5}" >one 2>errors; then
		read -r wall user system peak < <(tail -n 1 one)
		sample "$1" "$2" "$3" wall s "$4" "$wall"
		sample "$1" "$2" "$3" cpu s "$4" "$(awk -v a="$user" -v b="$system" 'BEGIN { print a + b }')"
		sample "$1" "$2" "$3" peak MiB "$4" "$peak"
	else
		cannot "$1" "$2" "$3" "$(head -n 1 errors)"
	fi
}

sizes=$(quick "10/0 100/0 1000/0 10000/0 30000/0 100000/0 100/100000 100/500000" "10/0 1000/0")
for ((round = 1; round <= often; round++)); do
	for size in $sizes; do
		"$benchgen" "${size%/*}" "${size#*/}" 1 .
		taken compile "rules=${size%/*} prefixes=${size#*/}" polc "$round" "$POLC" bench.pol -o bench.bpf.o
	done
done

nft_table() {
	echo "table inet bench { chain forward { type filter hook forward priority 0; policy drop;"
	cat
	printf '}\n}\n'
}
for n in $(quick "10 100 1000 10000 50000" "10 1000"); do
	{
		echo 'default deny; endpoint bob = app == "bob"; policy bob {'
		rule_lines "$n" 'print "allow from", p, "on udp", port ";"'
		echo '}'
	} >rules.pol
	nft_rules "$n" accept | nft_table >rules.nft
	for ((round = 1; round <= often; round++)); do
		taken translate "rules=$n" polc "$round" "$POLC" rules.pol -o rules.bpf.o
		taken translate "rules=$n" nft-linear "$round" timeout 60 nft -c -f rules.nft
		taken translate "rules=$n" nft-folded "$round" timeout 60 nft -c -o -f rules.nft
	done
done
bench_done
