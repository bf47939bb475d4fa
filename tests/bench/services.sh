#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What balancing costs a packet (experiment `service`): IPIP (IP6IP6) and translation by polc, beside a program that drops
# what the generator makes (drop) and one that only redirects it (empty), DNAT of nftables, also with a flow table, and
# IPVS, where the kernel has these; the same frames for all. And what the first packet of a flow costs (experiment `service-first`).
#
#	services.sh
#
# Environment: BALANCE, the program of balance.c, and BALANCE_OBJECT; COUNT, FLOWS, FAMILIES, and as lib.sh says.
# Frames are born in XDP of one namespace, cross the host's, and are dropped behind another veth, at XDP what XDP sends and
# at TC what the stack does: each where that is cheapest. In each round all variants run one after the other.
#
# What is the same for all: the frames, one CPU, flows that come round in a scrambled order, so that with 65,536 of them each finds
# its own cold whoever looks for it; each flow was there before. What is not, because it is what is compared: nftables and IPVS
# need an skb, XDP does not. A veth is no hardware: polc has to see, by one sum more, whether a checksum is whole.
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
ip addr add 2001:db8:18::ffff:1/64 dev up0 nodad
ip addr add 2001:db8:2::1/64 dev out0 nodad
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
gen_mac=$(mac_of gen eth0) up_mac=$(mac_of up0) out_mac=$(mac_of out0) sink_mac=$(mac_of sink eth0)
for n in 2 3 4; do
	ip neigh add 192.0.2.$n lladdr "$sink_mac" dev out0 nud permanent
	ip neigh add 2001:db8:2::$n lladdr "$sink_mac" dev out0 nud permanent
done
"$balance" take up0 || bail "up0 takes no frames"
declare -A vip=([v4]=198.51.100.10 [v6]=2001:db8:33::10) net=([v4]=192.0.2. [v6]=2001:db8:2::)

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
	{
		echo "default deny;"
		for family in v4 v6; do
			echo "service names-$family {"
			echo "	vip ${vip[$family]} on udp 80;"
			for n in 2 3 4; do echo "	backend ${net[$family]}$n on udp $port;"; done
			echo "	mode $mode;"
			echo "}"
		done
	} | compile $mode
done
printf 'uplinks: [up0, out0]\ndirect: [up0, out0]\n' >host.yaml

nft_dnat() { # FAMILY CHOICE [flowtable]
	local family=$1 ip=ip
	[ "$family" = v4 ] || ip=ip6
	local of=${net[$family]}
	nft -f - <<END
table $ip bench {
	chain pre {
		type nat hook prerouting priority -100;
		$ip daddr ${vip[$family]} udp dport 80 dnat to $2 map { 0 : ${of}2, 1 : ${of}3, 2 : ${of}4 };
	}
	${3:+flowtable ft { hook ingress priority 0; devices = { up0, out0 \}; \}
	chain forward {
		type filter hook forward priority 0;
		meta l4proto udp flow add @ft;
	\}}
}
END
}

held=
on() { # VARIANT FAMILY
	local saddr="ip saddr"
	[ "$2" = v4 ] || saddr="ip6 saddr"
	case $1 in
	drop) "$balance" hold "$object" up0 drop >held & held=$! ;;
	empty) "$balance" hold "$object" up0 forward out0 "$out_mac" "$sink_mac" >held & held=$! ;;
	polc-ipip) "$POLLOAD" apply dsr.bpf.o -H host.yaml >/dev/null ;;
	polc-dnat) "$POLLOAD" apply nat.bpf.o -H host.yaml >/dev/null ;;
	nft-numgen) nft_dnat "$2" "numgen inc mod 3" ;;
	nft-jhash) nft_dnat "$2" "jhash $saddr . udp sport mod 3" ;;
	nft-flowtable) nft_dnat "$2" "jhash $saddr . udp sport mod 3" flowtable ;;
	ipvs-*)
		local how=-i open='' close='' backend
		[ "$1" = ipvs-tun ] || how=-m
		[ "$2" = v4 ] || open=[ close=]
		ip addr add "${vip[$2]}" dev lo # it is asked for what comes to this host
		ipvsadm -A -u "$open${vip[$2]}$close:80" -s mh
		for backend in "${net[$2]}"{2,3,4}; do
			ipvsadm -a -u "$open${vip[$2]}$close:80" -r "$open$backend$close:80" $how
		done
		;;
	esac || bail "$1 cannot be installed"
	[ -z "$held" ] || begun held
}
off() {
	local address
	[ -z "$held" ] || { kill "$held"; wait "$held" 2>/dev/null; }
	held=
	rm -f held
	"$POLLOAD" remove >/dev/null 2>&1
	nft delete table ip bench 2>/dev/null
	nft delete table ip6 bench 2>/dev/null
	[ -z "$ipvs" ] || ipvsadm -C
	for address in "${vip[@]}"; do ip addr del "$address" dev lo 2>/dev/null; done
	true
}

ipvs=
variants=(drop empty polc-ipip polc-dnat nft-numgen nft-jhash)
if nft_dnat v4 "numgen inc mod 3" flowtable 2>/dev/null; then
	variants+=(nft-flowtable)
	off
else
	cannot service - nft-flowtable "no flow tables of nftables in this kernel"
fi
if [ -e /proc/net/ip_vs ] && command -v ipvsadm >/dev/null; then
	ipvs=yes
	variants+=(ipvs-tun ipvs-nat)
else
	cannot service - ipvs-tun "no IPVS in this kernel or no ipvsadm"
	cannot service - ipvs-nat "no IPVS in this kernel or no ipvsadm"
fi

measure() { # ROUND VARIANT FAMILY FLOWS [first]
	local before said count=$count
	# so few of so many flows that hardly one comes twice
	[ -z "${5:-}" ] || count=65536
	on "$2" "$3"
	# where what this variant sends ends the cheapest
	case $2 in
	drop | empty | polc-*) before=$(arrived xdp) ;;
	*) before=$(arrived stack) ;;
	esac
	said=$(inside gen "$balance" run "$object" eth0 "$gen_mac" "$up_mac" "${vip[$3]}" "$4" "$count" ${5:+"$5"}) || bail "$2 does not run"
	sleep 0.05
	before=$(($(arrived) - before))
	off
	if [ "$2" = drop ] || [ $before -ge $((count * 99 / 100)) ]; then
		sample "service${5:+-$5}" "flows=$4 family=$3" "$2" packet ns "$1" "$said"
	else
		cannot "service${5:+-$5}" "flows=$4 family=$3" "$2" "round $1: only $before of $count or more arrived"
	fi
}
for ((round = 1; round <= $(rounds 7 1); round++)); do
	for family in ${FAMILIES:-v4 v6}; do
		for flows in ${FLOWS:-1 4096 65536}; do
			for variant in "${variants[@]}"; do
				measure "$round" "$variant" "$family" "$flows"
			done
		done
		for variant in "${variants[@]}"; do
			measure "$round" "$variant" "$family" 1048576 first
		done
	done
done
bench_done
