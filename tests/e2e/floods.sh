# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-only
#
# Floods, and those who are not to notice them; read after lib.sh.

frame=$e2e_build/tests/tools/frame
[ -x "$frame" ] || skip "$frame is not built"

drops() { # REASON: packets
	"$POLLOAD" status --json | jq ".drops.$1.packets // 0"
}

streams=()
open_streams() { # NAME PORT TIMEOUT COUNT ADDRESS...: so many to each, which speak all the time
	local name=$1 port=$2 timeout=$3 count=$4 to
	shift 4
	for _ in $(seq "$count"); do
		for to in "$@"; do
			nsenter --net="/run/netns/$test_name-$name" "$PROBE" stream "$to" "$port" --interval 50 \
				--timeout "$timeout" >"stream.${#streams[@]}" 2>&1 </dev/null &
			streams+=($!)
		done
	done
}

end_streams() { # $alive: how many of them had gone on until now
	local pid
	alive=0
	kill -TERM "${streams[@]}"
	for pid in "${streams[@]}"; do
		wait "$pid" && alive=$((alive + 1))
	done
}

# From behind the uplink, by `client`: times 60,000 SYNs, each time from a prefix of its own, whatever becomes of
# them, at a rate that the link carries. Meanwhile it connects to these as others do, without a pause: a line
# of the file `said` for each time that a connection was tried again and again.  $carried: how many of them came, as
# a link that finds nobody at its other end drops some.
beside_syns() { # TIMES FLOODED PORT INTERVAL ADDRESS...
	local times=$1 flooded=$2 port=$3 interval=$4 to_mac flood i to lost
	shift 4
	lost=$(not_carried)
	to_mac=$(ip -o link show up0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')
	for i in $(seq "$times"); do
		inside client "$frame" eth0 "$to_mac" "198.18.$i.1" "$flooded" "$port" spread syn 60000 90000
	done >sent &
	flood=$!
	: >said
	while kill -0 $flood 2>/dev/null; do
		for to in "$@"; do
			inside client "$PROBE" repeat tcp "$to" "$port" --interval "$interval" --for 300 --timeout 30000 >>said
		done
	done
	wait $flood
	carried=$(($(awk '{ n += $1 } END { print n }' sent) - $(not_carried) + lost))
}
not_carried() { # packets of the client's device
	inside client ip -s -j link show eth0 | jq '.[0].stats64.tx.dropped'
}
not_opened() { # refused, unreachable and timed out, of all in `said`
	awk '{ r += $3; u += $5; t += $7 } END { print r, u, t }' said
}
