#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What watching costs (experiment `monitor`): one container sends denied datagrams, as many a second as asked, while
# another's allowed ones are answered; rounds without and with `polload monitor` in turn.
#
#	monitor.sh
#
# Environment: RATE (100000), FRAME, the program of tests/tools/frame.c, and as lib.sh says. Measured are drops a
# second, the monitor's share of a core, how far shown + lost is from what was dropped, and allowed answers.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
frame=${FRAME:-$e2e_build/tests/tools/frame}
rate=${RATE:-100000} seconds=2

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
mac=$(mac_of v-loud)
ticks=$(getconf CLK_TCK)

drops() { "$POLLOAD" status --json | jq '.drops.policy.packets // 0'; }
cpu() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
answered() { # of the allowed traffic of one round
	inside client "$PROBE" flood "${v4[server]}" 53 --for $((seconds * 1000)) | sed 's/.*sent \([0-9]*\) .*/\1/'
}
measure() { # ROUND without|with
	local before loud watcher=''
	if [ "$2" = with ]; then
		rm -f seen
		"$POLLOAD" monitor --json drop --aggregate >seen &
		watcher=$!
		begun seen
	fi
	before=$(drops)
	inside loud "$frame" eth0 "$mac" "${v4[loud]}" "${v4[server]}" 99 spread udp $((rate * (seconds + 1))) "$rate" >/dev/null &
	loud=$!
	sample monitor "rate=$rate" "$2" answers "" "$1" "$(answered)"
	if [ -n "$watcher" ]; then
		sample monitor "rate=$rate" with share % "$1" \
			"$(echo "$(cpu "$watcher") $ticks $(awk '{ print $1 }' /proc/uptime) $(awk '{ print $22 }' "/proc/$watcher/stat")" |
				awk '{ printf "%.2f\n", $1 / $2 * 100 / ($3 - $4 / $2) }')"
	fi
	wait "$loud"
	sample monitor "rate=$rate" "$2" drops 1/s "$1" $((($(drops) - before) / (seconds + 1)))
	[ -n "$watcher" ] || return 0
	kill -TERM "$watcher"
	wait "$watcher"
	sample monitor "rate=$rate" with wrong "" "$1" $(($(drops) - before - $(jq -s '.[-1] | .shown + .lost.all' seen)))
}

for ((round = 1; round <= $(rounds 5 1); round++)); do
	measure "$round" without
	measure "$round" with
done
bench_done
