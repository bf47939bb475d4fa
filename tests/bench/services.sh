#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What balancing costs a packet (experiment `service`): IPIP and translation by polc, beside a program that drops what
# the generator makes (drop) and one that only redirects it (empty), DNAT of nftables, and IPVS where the kernel has it;
# the same frames for all. And what the first packet of a flow costs (experiment `service-first`).
#
#	services.sh
#
# Environment: BALANCE, the program of balance.c, and BALANCE_OBJECT; COUNT, FLOWS, and as lib.sh says. Frames are born
# in XDP of one namespace, cross the host's, and are dropped behind another veth, at XDP what XDP sends and at TC what
# the stack does. In each round all variants run one after the other.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
balance=${BALANCE:-$e2e_build/tests/bench/balance}
object=${BALANCE_OBJECT:-$e2e_build/tests/bench/balance.bpf.o}
for file in "$balance" "$object"; do
	[ -r "$file" ] || skip "$file is not built"
done
count=${COUNT:-$(quick 1000000 200000)}

ip netns add "$test_name-gen"
ip netns add "$test_name-sink"
ip link add up0 type veth peer name eth0 netns "$test_name-gen"
ip link add out0 type veth peer name eth0 netns "$test_name-sink"
for device in up0 out0; do ip link set $device up; done
for name in gen sink; do inside $name ip link set eth0 up; done
ip addr add 198.19.255.254/15 dev up0
ip addr add 192.0.2.1/24 dev out0
gen_mac=$(mac_of gen eth0) up_mac=$(mac_of up0) out_mac=$(mac_of out0) sink_mac=$(mac_of sink eth0)
for n in 2 3 4; do
	ip neigh add 192.0.2.$n lladdr "$sink_mac" dev out0 nud permanent
done
"$balance" take up0 || bail "up0 takes no frames"
vip=198.51.100.10

coproc SINK { exec nsenter --net="/run/netns/$test_name-sink" "$balance" sink "$object" eth0; }
read -r said <&"${SINK[0]}"
[ "$said" = ready ] || bail "no sink"
arrived() { # [xdp|stack]: and so from now on
	local n
	echo "${1:-}" >&"${SINK[1]}"
	read -r n <&"${SINK[0]}"
	echo "$n"
}

for mode in dsr nat; do
	port=80
	[ $mode = dsr ] || port=8080
	compile $mode <<END
default deny;
service names {
	vip $vip on udp 80;
	backend 192.0.2.2 on udp $port;
	backend 192.0.2.3 on udp $port;
	backend 192.0.2.4 on udp $port;
	mode $mode;
}
END
done
printf 'uplinks: [up0, out0]\ndirect: [up0, out0]\n' >host.yaml

nft_dnat() { # CHOICE
	nft -f - <<END
table ip bench {
	chain pre {
		type nat hook prerouting priority -100;
		ip daddr $vip udp dport 80 dnat ip to $1 map { 0 : 192.0.2.2, 1 : 192.0.2.3, 2 : 192.0.2.4 }
	}
}
END
}

held=
on() { # VARIANT
	case $1 in
	drop) "$balance" hold "$object" up0 drop >held & held=$! ;;
	empty) "$balance" hold "$object" up0 forward out0 "$out_mac" "$sink_mac" >held & held=$! ;;
	polc-ipip) "$POLLOAD" apply dsr.bpf.o -H host.yaml >/dev/null ;;
	polc-dnat) "$POLLOAD" apply nat.bpf.o -H host.yaml >/dev/null ;;
	nft-numgen) nft_dnat "numgen inc mod 3" ;;
	nft-jhash) nft_dnat "jhash ip saddr . udp sport mod 3" ;;
	ipvs-*)
		ipvsadm -A -u $vip:80 -s mh
		local how=-i
		[ "$1" = ipvs-tun ] || how=-m
		for n in 2 3 4; do ipvsadm -a -u $vip:80 -r 192.0.2.$n:80 $how; done
		;;
	esac || bail "$1 cannot be installed"
	[ -z "$held" ] || begun held
}
off() {
	[ -z "$held" ] || { kill "$held"; wait "$held" 2>/dev/null; }
	held=
	rm -f held
	"$POLLOAD" remove >/dev/null 2>&1
	nft delete table ip bench 2>/dev/null
	[ -z "$ipvs" ] || ipvsadm -C
}

variants=(drop empty polc-ipip polc-dnat nft-numgen nft-jhash)
ipvs=
if [ -e /proc/net/ip_vs ] && command -v ipvsadm >/dev/null; then
	ipvs=yes
	variants+=(ipvs-tun ipvs-nat)
else
	cannot service - ipvs-tun "no IPVS in this kernel or no ipvsadm"
	cannot service - ipvs-nat "no IPVS in this kernel or no ipvsadm"
fi

measure() { # ROUND VARIANT FLOWS [first]
	local before said count=$count
	# so few of so many flows that hardly one comes twice
	[ -z "${4:-}" ] || count=65536
	# where what this variant sends ends the cheapest
	case $2 in
	drop | empty | polc-*) before=$(arrived xdp) ;;
	*) before=$(arrived stack) ;;
	esac
	said=$(inside gen "$balance" run "$object" eth0 "$gen_mac" "$up_mac" $vip "$3" "$count" ${4:+"$4"}) || bail "$2 does not run"
	sleep 0.05
	before=$(($(arrived) - before))
	[ "$2" = drop ] || [ $before -ge $((count * 99 / 100)) ] ||
		echo "note: $2, $3 flows: only $before of $count or more arrived" >&2
	sample "service${4:+-$4}" "flows=$3" "$2" packet ns "$1" "$said"
}
for ((round = 1; round <= $(rounds 7 1); round++)); do
	for flows in ${FLOWS:-1 4096 65536}; do
		for variant in "${variants[@]}"; do
			on "$variant"
			measure "$round" "$variant" "$flows"
			off
		done
	done
	for variant in "${variants[@]}"; do
		on "$variant"
		measure "$round" "$variant" 1048576 first
		off
	done
done
bench_done
