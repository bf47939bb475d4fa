#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# A flood of SYNs to a VIP, at a rate that the link carries, more than the table of connections has places: every new connection of others
# completes, none that is open loses its place, and the table is as large as before.
# Backends are chosen at random, so a connection that was forgotten would go on at another one, and end.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/floods.sh"
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

open_streams client 80 30000 "$each" 198.51.100.10 2001:db8:2::10
for _ in $(seq 300); do
	[ "$(connections connections)" -lt ${#streams[@]} ] || break
	sleep 0.1
done
is "open before it" ${#streams[@]} "$(connections connections)"

# Nobody at the sources answers the backends.
beside_syns "$floods" 198.51.100.10 80 5 198.51.100.10 2001:db8:2::10
is "every new connection of others opened" "0 0 0" "$(not_opened)"
is "... and there were many" yes "$(awk '{ n += $1 } END { print (n > 50 ? "yes" : "no, " n) }' said)"
is "the table was full: half-open ones made room" yes "$([ "$(of_shop displaced)" -gt 0 ] && echo yes)"
is "no open one did" 0 "$(of_shop evicted)"
echo "# $(awk '{ n += $1 } END { print n }' said) opened meanwhile; $(connections half_open) half open, $(of_shop displaced) displaced"
is "none was refused a place" 0 "$("$POLLOAD" status --json | jq '.drops.svc_full.packets // 0')"
is "what the table holds is no more than it has places" yes \
	"$([ $(($(connections connections) + $(connections half_open))) -le 262144 ] && echo yes)"
end_streams
is "all that were open live" "${#streams[@]}" "$alive"
finish
