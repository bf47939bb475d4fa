#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# One container sends every kind of frame that it should not; another sniffs, and a machine behind the
# uplink.  Nothing that the policy denies arrives: routed, and on a bridge with br_netfilter off and
# on.  What was dropped is counted by reason: every kind was tried.
. "$(dirname "$0")/lib.sh"

rawfuzz=${RAWFUZZ:-$e2e_build/tests/tools/rawfuzz}
[ -x "$rawfuzz" ] || skip "$rawfuzz is not built"
seed=${POLC_SEED:-1}
frames=${POLC_FRAMES:-30000}

bridged() { # NAME NUMBER LABELS: one on br0
	v4[$1]=10.66.9.$2
	v6[$1]=fd66:0:0:9::$2
	labels[$1]=$3
	ip netns add "$test_name-$1" || bail "cannot make a network namespace"
	ip link add "v-$1" type veth peer name eth0 netns "$test_name-$1" || bail "cannot make a veth"
	ip link set "v-$1" master br0 up
	inside "$1" sh -c "ip link set lo up; ip link set eth0 up; ip addr add ${v4[$1]}/24 dev eth0;
		ip addr add ${v6[$1]}/64 dev eth0 nodad; ip route add default via 10.66.9.1"
}

mac_of() { # COMMAND PREFIX... DEVICE
	"${@:1:$#-1}" ip -o link show "${@: -1}" | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'
}

fuzz() { # PHASE ATTACKER VICTIM FIRST_HOP_MAC GATEWAY_MAC GATEWAY4 GATEWAY6
	local own peer
	own=$(mac_of inside "$2" eth0)
	peer=$(mac_of inside "$3" eth0)
	local sniffer file=$work/sniffed
	nsenter --net="/run/netns/$test_name-$3" "$rawfuzz" sniff eth0 300 "$own" "${v4[$2]}" \
		"${v6[$2]}" >"$file" 2>&1 </dev/null &
	sniffer=$!
	for _ in {1..600}; do
		[ -z "$(inside "$3" ss -H0n)" ] || break
		sleep 0.05
	done
	local sender
	nsenter --net="/run/netns/$test_name-$2" "$rawfuzz" send eth0 "$seed" "$frames" "$own" "$peer" "$4" \
		"${v4[$2]}" "${v4[$3]}" "$5" "${v6[$2]}" "${v6[$3]}" "$6" &
	sender=$!
	wait "$sniffer"
	kill "$sender"
	wait "$sender" 2>/dev/null
	like "$1: the allowed frame came, and nothing that is denied" " leaked 0" "$(tail -n 5 "$file")"
	echo "# $1: $(tail -n 1 "$file")"
}

ip link add br0 type bridge
ip link set br0 up
ip addr add 10.66.9.1/24 dev br0
ip addr add fd66:0:0:9::1/64 dev br0 nodad
macs=()
container mallory 1 "app: mallory"
container victim 2 "app: victim"
outside world
bridged eve 3 "app: mallory"
bridged alice 4 "app: victim"

compile wall <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint mallory = app == "mallory";
endpoint victim = app == "victim";
policy mallory { allow to victim on udp 53; allow to 192.0.2.7 on udp 53; }
policy victim { allow from mallory on udp 53; }
END
# with their MACs: without, a container on a bridge can take another's frames, and so deny them
for name in mallory victim eve alice; do
	macs+=("-e" "s/{name: $name,/& mac: \"$(mac_of inside "$name" eth0)\",/")
done
host_file mallory victim eve alice | sed "${macs[@]}" >host.yaml
run "$POLLOAD" apply wall.bpf.o --host host.yaml
is "apply" "0 " "$code $err"

fuzz routed mallory victim "$(mac_of v-mallory)" 10.66.1.1 fd66:0:0:1::1
fuzz "out by the uplink" mallory world "$(mac_of v-mallory)" 10.66.1.1 fd66:0:0:1::1
fuzz "bridged, out by the uplink" eve world "$(mac_of br0)" 10.66.9.1 fd66:0:0:9::1
"$POLLOAD" status --json >status.json
for reason in policy spoofed spoofed_mac spoofed_arp link_control bad_address vlan ethertype bad_length \
	bad_version bad_flags frag_tiny frag_unknown routing_header ext_header icmp_related no_state; do
	if [ "$(jq ".drops.$reason.packets // 0" status.json)" -gt 0 ]; then
		ok "frames were dropped for $reason"
	else
		not_ok "frames were dropped for $reason" "$(jq -c .drops status.json)"
	fi
done
nf=/proc/sys/net/bridge/bridge-nf-call-iptables
for on in 0 1; do
	if [ -w "$nf" ]; then
		echo "$on" >"$nf"
		echo "$on" >"${nf%tables}6tables"
	elif [ "$on" = 1 ]; then
		echo "# no br_netfilter in this kernel"
		break
	fi
	fuzz "bridge, br_netfilter $on" eve alice "$(mac_of inside alice eth0)" 10.66.9.1 fd66:0:0:9::1
done
finish
