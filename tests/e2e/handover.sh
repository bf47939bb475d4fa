#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Local delivery by bpf_redirect_peer: with the host's forwarding switched off, exactly what
# is handed over arrives, and it arrives as a router would have sent it.
. "$(dirname "$0")/lib.sh"

mac_of() { # COMMAND PREFIX... DEVICE
	"${@:1:$#-1}" ip -o link show "${@: -1}" | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'
}

forwarding() { # 0|1
	echo "$1" >/proc/sys/net/ipv4/ip_forward
	echo "$1" >/proc/sys/net/ipv6/conf/all/forwarding
}

marked() { # IP6|IP: how many of them came as they should
	inside bob nft -j list counter inet t "$1" | jq ".nftables[].counter.packets // empty"
}

container alice 1 "app: alice"
container bob 2 "app: bob"
container mallory 3 "app: mallory"

compile shop <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint alice = app == "alice";
endpoint bob = app == "bob";
endpoint mallory = app == "mallory";
policy alice { allow to bob on tcp 80; allow to bob on udp 53; allow to bob on icmp; allow to bob on icmp6; }
policy bob { allow from alice on tcp 80; allow from alice on udp 53; allow from alice on icmp; allow from alice on icmp6;
	reject from mallory on tcp 80; }
policy mallory { allow to bob on tcp 80; }
END
host_file alice bob mallory >host.yaml
run "$POLLOAD" apply shop.bpf.o --host host.yaml
is "apply" "0 " "$code $err"
serve bob tcp 80
serve bob udp 53

bob_mac=$(mac_of inside bob eth0)

phase="by the stack or not"
expect open alice bob tcp 80
expect open alice bob udp 53
expect open alice bob ping
expect refused mallory bob tcp 80

forwarding 0
phase="no forwarding"
expect open alice bob tcp 80
expect open alice bob udp 53
expect timeout alice bob ping
expect refused mallory bob tcp 80

for to in "${v4[bob]}" "${v6[bob]}"; do
	is "large segments pass whole, to $to" open \
		"$(inside alice "$PROBE" stream "$to" 80 --size 60000 --interval 1 --for 300 --timeout 20000 | cut -d' ' -f2)"
done
inside bob ip link set eth0 address 02:66:00:00:00:22
expect open alice bob tcp 80
inside bob ip link set eth0 address "$bob_mac"

phase="as a router sends it"
if inside bob nft -f - 2>nft.err <<END
table inet t {
	counter c4 { }
	counter c6 { }
	chain in {
		type filter hook prerouting priority 0;
		ether saddr $(mac_of v-bob) ether daddr $(mac_of inside bob eth0) ip ttl 63 ip protocol tcp counter name c4
		ether saddr $(mac_of v-bob) ether daddr $(mac_of inside bob eth0) ip6 hoplimit 63 ip6 nexthdr tcp counter name c6
	}
}
END
then
	expect open alice bob tcp 80
	for family in c4 c6; do
		if [ "$(marked $family)" -ge 3 ]; then
			ok "$phase: $family: hop limit and both MACs"
		else
			not_ok "$phase: $family: hop limit and both MACs" "$(marked $family)"
		fi
	done
else
	echo "# no nftables here, frames are not looked at: $(head -n 1 nft.err)"
fi

phase="too big for the receiver"
inside alice ip link set eth0 mtu 3000
ip link set v-alice mtu 3000
is "$phase: handed over while it fits" open \
	"$(inside alice "$PROBE" connect udp "${v4[bob]}" 53 --size 1400 --timeout 20000)"
is "$phase: not at all" timeout \
	"$(inside alice "$PROBE" connect udp "${v4[bob]}" 53 --size 2000 --timeout 400)"
is "$phase: nor IPv6" timeout \
	"$(inside alice "$PROBE" connect udp "${v6[bob]}" 53 --size 2000 --timeout 400)"

# A flow whose destination the host translates is answered by the stack, which translates back.
phase="translated"
forwarding 1
if nft add table ip t 2>/dev/null && nft add chain ip t pre '{ type nat hook prerouting priority -100; }' 2>/dev/null &&
	nft add rule ip t pre ip daddr 198.51.100.9 dnat to "${v4[bob]}" 2>/dev/null; then
	compile shop2 <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint alice = app == "alice";
endpoint bob = app == "bob";
policy alice { allow to bob on tcp 80; allow to 198.51.100.9 on tcp 80; }
policy bob { allow from alice on tcp 80; }
END
	run "$POLLOAD" apply shop2.bpf.o --host host.yaml
	is "$phase: apply" "0 " "$code $err"
	is "$phase: alice reaches bob by his service address" open \
		"$(inside alice "$PROBE" connect tcp 198.51.100.9 80 --timeout 20000)"
	is "$phase: the same port, directly and then translated" "open
open" \
		"$(inside alice "$PROBE" connect tcp "${v4[bob]}" 80 --sport 4000 --timeout 20000
		inside alice "$PROBE" connect tcp 198.51.100.9 80 --sport 4001 --timeout 20000)"
else
	echo "# no nftables here: translation is not tried"
fi
finish
