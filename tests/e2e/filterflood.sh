#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# A flood of SYNs that meets a limit of a filter, so many of them whatever becomes of them, at a rate that the
# link carries: it is stopped at XDP by its own sources' rates; every new connection of others completes, all
# that are open live, and what it leaves in the connection table is what the rates let through.
. "$(dirname "$0")/lib.sh"
frame=$e2e_build/tests/tools/frame
[ -x "$frame" ] || skip "$frame is not built"
each=${POLC_STREAMS:-20}
floods=${POLC_FLOODS:-5}	# of 60,000 SYNs each, from a source each

container server 1 "app: server"
serve server tcp 8080
outside client
ip route add 198.18.0.0/15 via 192.0.2.7
host_file server >host.yaml
compile flood <<'END_POLICY'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint server = app == "server";
policy server { allow from any on tcp 8080; }
filter edge on up0 {
	pass on tcp ack;
	limit 100/s burst 1000 per source /24 /56 on tcp syn;
	pass;
}
END_POLICY
run "$POLLOAD" apply flood.bpf.o -H host.yaml
is "apply" "0 " "$code $err"

drops() { # REASON: packets
	"$POLLOAD" status --json | jq ".drops.$1.packets // 0"
}
flows() { # that the connection table holds
	"$POLLOAD" flows --json | jq length
}

streams=()
for _ in $(seq "$each"); do
	for to in "${v4[server]}" "${v6[server]}"; do
		nsenter --net="/run/netns/$test_name-client" "$PROBE" stream "$to" 8080 --interval 50 --timeout 5000 \
			>"stream.${#streams[@]}" 2>&1 </dev/null &
		streams+=($!)
	done
done
for _ in $(seq 100); do
	[ "$(flows)" -lt ${#streams[@]} ] || break
	sleep 0.1
done
is "open before it" ${#streams[@]} "$(flows)"

to_mac=$(ip -o link show up0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')
flood() {
	local i
	for i in $(seq "$floods"); do
		inside client "$frame" eth0 "$to_mac" "198.18.$i.1" "${v4[server]}" 8080 spread syn 60000 90000
	done >sent
}
began=$(date +%s)
flood &
flood=$!
said=()
while kill -0 $flood 2>/dev/null; do
	for to in "${v4[server]}" "${v6[server]}"; do
		said+=("$(inside client "$PROBE" repeat tcp "$to" 8080 --interval 20 --for 300 --timeout 5000)")
	done
done
wait $flood
printf '%s\n' "${said[@]}" >said
is "every new connection of others opened" "0 0 0" \
	"$(awk '{ r += $3; u += $5; t += $7 } END { print r, u, t }' said)"
opened=$(awk '{ n += $1 } END { print n }' said)
is "... and there were some" yes "$([ "$opened" -gt 10 ] && echo yes)"
# a source's 1000 at once, and 100 a second while it lasted
most=$((floods * 1000 + 100 * ($(date +%s) - began + 1)))
stopped=$(drops limit)
is "what the rates let through, no more" yes \
	"$([ "$stopped" -ge $((floods * 60000 - most)) ] && echo yes || echo "stopped $stopped, may pass $most")"
is "the line that stopped it has counted that" yes \
	"$("$POLLOAD" rules --json | jq -r "[.[] | select(.text | contains(\"limit 100/s\")) | .packets] | add >= $stopped" |
		sed 's/true/yes/')"
left=$(flows)
is "the connection table holds no more than that" yes \
	"$([ "$left" -le $((most + ${#streams[@]} + opened)) ] && echo yes || echo "$left")"
is "none was refused a place" "0 0" "$(drops ct_full) $(drops ct_quota)"
echo "# $opened opened meanwhile, $stopped of $((floods * 60000)) stopped, $left flows in the table"
kill -TERM "${streams[@]}"
alive=0
for i in "${!streams[@]}"; do
	wait "${streams[$i]}" && alive=$((alive + 1))
done
is "all that were open live" "${#streams[@]}" "$alive"
finish
