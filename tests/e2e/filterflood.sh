#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# A flood of SYNs that meets a limit of a filter, so many of them whatever becomes of them, at a rate that the
# link carries: it is stopped at XDP by its own sources' rates; every new connection of others completes, all
# that are open live, and what it leaves in the connection table is what the rates let through.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/floods.sh"
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

flows() { # that the connection table holds
	"$POLLOAD" flows --json | jq length
}

open_streams client 8080 30000 "$each" "${v4[server]}" "${v6[server]}"
for _ in $(seq 300); do
	[ "$(flows)" -lt ${#streams[@]} ] || break
	sleep 0.1
done
is "open before it" ${#streams[@]} "$(flows)"

began=$(date +%s)
beside_syns "$floods" "${v4[server]}" 8080 20 "${v4[server]}" "${v6[server]}"
is "every new connection of others opened" "0 0 0" "$(not_opened)"
opened=$(awk '{ n += $1 } END { print n }' said)
is "... and there were some" yes "$([ "$opened" -gt 10 ] && echo yes)"
# a source's 1000 at once, and 100 a second while it lasted
is "... beside a flood" yes "$([ "$carried" -gt $((floods * 40000)) ] && echo yes || echo "$carried")"
most=$((floods * 1000 + 100 * ($(date +%s) - began + 1)))
stopped=$(drops limit)
is "what the rates let through, no more" yes \
	"$([ "$stopped" -ge $((carried - most)) ] && echo yes || echo "stopped $stopped, may pass $most")"
is "the line that stopped it has counted that" yes \
	"$("$POLLOAD" rules --json | jq -r "[.[] | select(.text | contains(\"limit 100/s\")) | .packets] | add >= $stopped" |
		sed 's/true/yes/')"
left=$(flows)
is "the connection table holds no more than that" yes \
	"$([ "$left" -le $((most + ${#streams[@]} + opened)) ] && echo yes || echo "$left")"
is "none was refused a place" "0 0" "$(drops ct_full) $(drops ct_quota)"
echo "# $opened opened meanwhile, $stopped of $carried stopped, $left flows in the table"
end_streams
is "all that were open live" "${#streams[@]}" "$alive"
finish
