#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What watching costs: one container sends denied datagrams, as many a second as asked (100,000), while
# another's allowed ones are answered. Rounds without and with `polload monitor` in turn; medians.
#
#	monitor.sh [ROUNDS [RATE]]
#
# Prints drops a second, the monitor's share of a core, whether shown + lost is what was dropped, and
# how many allowed answers there were with it beside without.
. "$(dirname "$0")/../e2e/lib.sh"
FRAME=${FRAME:-$e2e_build/tests/tools/frame}
rounds=${1:-7} rate=${2:-100000} seconds=3

container client 1 "app: client"
container server 2 "app: server"
container loud 3 "app: loud"
host_file client server loud >host.yaml
serve server udp 53
compile bench <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on udp 53; }
policy server { allow from client on udp 53; }
END
"$POLLOAD" apply bench.bpf.o -H host.yaml >/dev/null || bail "apply"
mac=$(ip -o link show v-loud | sed "s/.*link.ether \([^ ]*\).*/\1/")
ticks=$(getconf CLK_TCK)

drops() { "$POLLOAD" status --json | jq '.drops.policy.packets // 0'; }
cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
answered() { # of the allowed traffic of one round
	inside client "$PROBE" flood "${v4[server]}" 53 --for $((seconds * 1000)) | sed 's/.*sent \([0-9]*\) .*/\1/'
}
round() { # WITH: "" or --aggregate: appends to the files with, without, share, speed
	local before loud watcher='' file=without.n
	if [ -n "$1" ]; then
		rm -f seen
		"$POLLOAD" monitor --json drop "$1" >seen &
		watcher=$!
		begun seen
		file=with.n
	fi
	before=$(drops)
	inside loud "$FRAME" eth0 "$mac" "${v4[loud]}" "${v4[server]}" 99 spread udp $((rate * (seconds + 1))) "$rate" >/dev/null &
	loud=$!
	answered >>"$file"
	if [ -n "$watcher" ]; then
		echo "$(cpu "$watcher") $ticks $(awk '{ print $1 }' /proc/uptime) $(awk '{ print $22 }' "/proc/$watcher/stat")" |
			awk '{ printf "%.2f\n", $1 / $2 * 100 / ($3 - $4 / $2) }' >>share
	fi
	wait "$loud"
	echo $((($(drops) - before) / (seconds + 1))) >>speed
	[ -n "$watcher" ] || return 0
	kill -TERM "$watcher"
	wait "$watcher"
	echo $(($(drops) - before - $(jq -s '.[-1] | .shown + .lost.all' seen))) >>off
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

for ((r = 0; r < rounds; r++)); do
	round ""
	round --aggregate
done
echo "drops a second       $(median speed)"
echo "monitor, of a core   $(median share) %"
echo "counted wrongly      $(sort -n off | tail -1)"
echo "allowed answers      $(median without.n) without, $(median with.n) with: $(awk -v a="$(median with.n)" -v b="$(median without.n)" 'BEGIN { printf "%.3f", a / b }')"
