#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# A flood of SYNs to a VIP, at a rate that the link carries, more than the table of connections has places: every new connection of others
# completes, none that is open loses its place, and the table is as large as before.
# Backends are chosen at random, so a connection that was forgotten would go on at another one, and end.
. "$(dirname "$0")/lib.sh"
frame=$e2e_build/tests/tools/frame
[ -x "$frame" ] || skip "$frame is not built"
each=${POLC_STREAMS:-20}
floods=${POLC_FLOODS:-5}	# of 60,000 SYNs each; the table has 262,144 places

for n in 1 2 3; do
	container b$n $n "app: web"
	serve b$n tcp 8080
done
outside client
inside client ip route add 198.51.100.10 via 192.0.2.1
inside client ip -6 route add 2001:db8:2::10 via 2001:db8:1::1
ip route add 198.18.0.0/15 via 192.0.2.7
host_file b1 b2 b3 >host.yaml
compile flood <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint web = app == "web";
policy web { allow from any on tcp 8080; }
service shop {
	vip 198.51.100.10, 2001:db8:2::10 on tcp 80;
	backend web on tcp 8080;
	balance random;
}
END
run "$POLLOAD" apply flood.bpf.o -H host.yaml
is "apply" "0 " "$code $(grep -v '^note' <<<"$err")"

of_shop() { # KEY
	"$POLLOAD" services --json | jq ".[0].$1"
}
connections() { # connections|half_open
	"$POLLOAD" services --json | jq "[.[0].backends[].$1] | add"
}

streams=()
for _ in $(seq "$each"); do
	for to in 198.51.100.10 2001:db8:2::10; do
		nsenter --net="/run/netns/$test_name-client" "$PROBE" stream "$to" 80 --interval 50 --timeout 5000 \
			>"stream.${#streams[@]}" 2>&1 </dev/null &
		streams+=($!)
	done
done
for _ in $(seq 100); do
	[ "$(connections connections)" -lt ${#streams[@]} ] || break
	sleep 0.1
done
is "open before it" ${#streams[@]} "$(connections connections)"

# Sources in prefixes of their own, each with all ports; nobody there answers the backends.
to_mac=$(ip -o link show up0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')
flood() {
	local i
	for i in $(seq "$floods"); do
		inside client "$frame" eth0 "$to_mac" "198.18.$i.1" 198.51.100.10 80 spread syn 60000 90000
	done >sent
}
flood &
flood=$!
said=()
while kill -0 $flood 2>/dev/null; do
	for to in 198.51.100.10 2001:db8:2::10; do
		said+=("$(inside client "$PROBE" repeat tcp "$to" 80 --interval 5 --for 300 --timeout 5000)")
	done
done
wait $flood
printf '%s\n' "${said[@]}" >said
is "every new connection of others opened" "0 0 0" \
	"$(awk '{ r += $3; u += $5; t += $7 } END { print r, u, t }' said)"
is "... and there were many" yes "$(awk '{ n += $1 } END { print (n > 50 ? "yes" : "no, " n) }' said)"
is "the table was full: half-open ones made room" yes "$([ "$(of_shop displaced)" -gt 0 ] && echo yes)"
is "no open one did" 0 "$(of_shop evicted)"
echo "# $(awk '{ n += $1 } END { print n }' said) opened meanwhile; $(connections half_open) half open, $(of_shop displaced) displaced"
is "none was refused a place" 0 "$("$POLLOAD" status --json | jq '.drops.svc_full.packets // 0')"
is "what the table holds is no more than it has places" yes \
	"$([ $(($(connections connections) + $(connections half_open))) -le 262144 ] && echo yes)"
kill -TERM "${streams[@]}"
alive=0
for i in "${!streams[@]}"; do
	wait "${streams[$i]}" && alive=$((alive + 1))
done
is "all that were open live" "${#streams[@]}" "$alive"
finish
