#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# The packet cases of edge/ through services as polc compiles and polload fills them: who is a VIP, a backend, a
# next hop is said here, what becomes of each packet there.
. "$(dirname "$0")/../e2e/lib.sh"
edge=$e2e_build/tests/packet/edge
[ -x "$edge" ] || skip "$edge is not built"

outside world
ip link set up0 address 02:00:00:00:00:01
ip link add up1 type veth peer name up1-end
ip link set up1 address 02:00:00:00:01:01 up
ip link set up1-end up
ip addr add 192.0.3.1/24 dev up1
ip addr add 2001:db8:3::1/64 dev up1 nodad
for family in -4 -6; do
	net=192.0. one=2. two=3.
	[ $family = -4 ] || net=2001:db8: one=1:: two=3::
	for n in 2 3 7; do
		ip $family neigh replace $net$one$n lladdr 02:00:00:00:00:0$n dev up0 nud permanent
	done
	ip $family neigh replace ${net}${two}2 lladdr 02:00:00:00:01:02 dev up1 nud permanent
	ip $family route replace default via $net${one}7
done
container web 0 "app: web"
compile services <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint web = app == "web";
endpoint nobody = app == "nobody";
policy web { allow from world on tcp 8080, udp 53; }
service names {			# by translation, to this link
	vip 198.51.100.10 on udp 53;
	vip 2001:db8:33::10 on udp 53;
	backend 192.0.2.2 on udp 5353;
	backend 2001:db8:1::2 on udp 5353;
	mode nat;
}
service far {			# to another one
	vip 198.51.100.10 on tcp 443;
	vip 2001:db8:33::10 on tcp 443;
	backend 192.0.3.2 on tcp 8443;
	backend 2001:db8:3::2 on tcp 8443;
	mode nat;
}
service tunnel {		# in tunnels of IPv4
	vip 198.51.100.11 on udp 53;
	vip 2001:db8:33::11 on udp 53;
	backend 192.0.2.3 on udp 53;
	mode dsr;
}
service six {			# and of IPv6
	vip 198.51.100.12 on tcp 80;
	vip 2001:db8:33::12 on tcp 80;
	backend 2001:db8:1::3 on tcp 80;
	mode dsr;
}
service two {			# two backends, of which one is drained
	vip 198.51.100.13 on tcp 80;
	backend 192.0.2.2 on tcp 8080;
	backend 192.0.2.3 on tcp 8080;
	mode nat;
}
service down { vip 198.51.100.14 on tcp 80; vip 2001:db8:33::14 on tcp 80; backend nobody on tcp 80; mode nat; }
service out { vip 198.51.100.14 on udp 53; vip 2001:db8:33::14 on udp 53; backend nobody on udp 53; mode nat; }
service here {			# an endpoint of this host
	vip 198.51.100.15 on tcp 80;
	vip 2001:db8:33::15 on tcp 80;
	backend web on tcp 8080;
	mode nat;
}
END
host() { # [LINE...]
	host_file web | grep -v uplinks
	echo "uplinks: [up0, up1]"
	echo "direct: [up0, up1]"
	echo 'balancers: [192.0.2.9, "2001:db8:1::9", 192.0.2.16/28]'
	printf '%s\n' "$@"
}
host >plain.yaml
host 'tunnel_source: [192.0.2.64/28]' >spread.yaml
"$POLLOAD" apply services.bpf.o -H plain.yaml >/dev/null || bail "apply"
PATH=${POLLOAD%/*}:$PATH "$edge" "$e2e_tree"/tests/packet/edge/*.pkt
