#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Everything that `make bench` measures, and the report of it.
#
#	bench.sh [FOLDER]	where report.md, its pictures, SECTION.csv and SECTION.log go (bench)
#
# Each section is a script that writes its CSV as it goes (lib.sh). One that fails, hangs or lacks its tools costs
# what it had not measured yet, and the report says so; it is made anew after each section. Between sections the machine
# itself is measured (pulse.c), which says how noisy it was. Exit code 1: a section failed; all others were run.
#
# Environment: BENCH_QUICK=1: few rounds, some minutes; BENCH_SECTIONS="wire proxy": only these, into a folder that
# keeps what it has of the others; BENCH_LIMIT: seconds that a section may take (900); and as the scripts say.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
build=${top_builddir:-$here/../../build}
out=${1:-bench}
PATH=$(cd "$build" && pwd)/peers/bin:$PATH # of peers.sh
all="packets wire edge filters services proxy compile questions apply monitor guard"
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
if [ -z "${BENCH_SECTIONS:-}" ]; then
	rm -f "$out"/*.svg "$out"/*.log "$out/report.md" "$out/status.csv" "$out/machine.csv"
	for name in $all; do rm -f "$out/$name.csv"; done # and not kernels.csv of `make check-kernels`
fi
touch "$out/status.csv"

version() { # COMMAND...: the first thing like a version that it says
	command -v "$1" >/dev/null || { echo "not here"; return; }
	"$@" 2>&1 | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)*' | head -n 1
}

mitigations() { # what is done about the CPU's faults: each return of a program may pay for one
	(cd /sys/devices/system/cpu/vulnerabilities && grep Mitigation: -- *) 2>/dev/null |
		sed 's/:Mitigation: / (/; s/$/)/' | paste -sd, | sed 's/),/), /g' | grep . || echo "none, or not to be seen"
}

machine() {
	local cpu=/sys/devices/system/cpu/cpu0 cache
	echo "- polc $(version "${POLC:-$build/polc}" --version), $(git -C "$here" describe --always --dirty 2>/dev/null || echo "not from a repository"); $(date -u '+%Y-%m-%d %H:%M') UTC${BENCH_QUICK:+; **a quick run: few rounds, to see that all works**}${ROUNDS:+; **$ROUNDS rounds only**}"
	echo "- $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs$(grep -qw hypervisor /proc/cpuinfo && echo ", a virtual machine"), $(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)"
	printf -- '- caches of a CPU:'
	for cache in "$cpu"/cache/index*; do
		[ -r "$cache/size" ] && printf ' L%s %s %s;' "$(cat "$cache/level")" "$(cat "$cache/type")" "$(cat "$cache/size")"
	done
	echo
	echo "- Linux $(uname -r), JIT $(cat /proc/sys/net/core/bpf_jit_enable), governor $(cat "$cpu/cpufreq/scaling_governor" 2>/dev/null || echo "not to be seen")"
	echo "- mitigations: $(mitigations)"
	echo "- clang $(version "${CLANG:-clang}" --version), nftables $(version nft --version), HAProxy $(version haproxy -v), bpfilter $(version bfcli --version), IPVS $([ -e /proc/net/ip_vs ] && echo here || echo "not in this kernel")"
	echo "- load when it began: $(cut -d' ' -f1-3 /proc/loadavg)"
}

report() {
	bash "$here/report/report.sh" "$out"
}

pulses=0
pulse() {
	pulses=$((pulses + 1))
	"${PULSE:-$build/tests/bench/pulse}" $pulses >>"$out/machine.csv" 2>>"$out/machine.log"
	# who measures need not learn it again (core.h)
	BENCH_ADDITIONS=$(awk -F, '$4 == "additions" && $7 + 0 > most + 0 { most = $7 } END { print most }' "$out/machine.csv")
	export BENCH_ADDITIONS
}

section() { # NAME
	local began=$SECONDS code when
	when=$(date -u '+%Y-%m-%d %H:%M')
	printf '%s: ' "$1" >&2
	echo "experiment,case,peer,metric,unit,round,value" >"$out/$1.csv"
	BENCH_CSV=$out/$1.csv timeout --kill-after=10 "${BENCH_LIMIT:-900}" \
		bash "$here/$1.sh" >"$out/$1.log" 2>&1 </dev/null &
	running=$!
	wait $running
	code=$?
	sed -i "/^$1,/d" "$out/status.csv"
	echo "$1,$code,$((SECONDS - began)),$when" >>"$out/status.csv"
	[ $code = 0 ] || [ $code = 77 ] || failed=1
	echo "$([ $code = 0 ] && echo whole || echo "exit code $code, see $out/$1.log"), $((SECONDS - began)) s" >&2
}

# timeout has a process group of its own: it would not hear of an interrupt.
running=
trap '[ -z "$running" ] || kill $running 2>/dev/null; exit 130' INT TERM HUP
failed=0
machine >"$out/machine.md"
pulse
for name in ${BENCH_SECTIONS:-$all}; do
	section "$name"
	pulse
	report || failed=1
done
echo "$out/report.md" >&2
exit $failed
