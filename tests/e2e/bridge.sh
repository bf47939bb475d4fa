# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-only
#
# Containers on Linux bridges, as Docker makes them; read after lib.sh.

bridge_up() { # NAME NUMBER: with an address of this host's in the network of that number
	ip link add "$1" type bridge || bail "cannot make a bridge"
	ip addr add "10.66.$2.1/24" dev "$1"
	ip addr add "fd66:0:0:$2::1/64" dev "$1" nodad
	ip link set "$1" up
}

declare -A mac=()

bridged() { # NAME BRIDGE NETWORK NUMBER LABELS: an endpoint-to-be at a port of that bridge
	v4[$1]=10.66.$3.$4
	v6[$1]=fd66:0:0:$3::$4
	labels[$1]=$5
	mac[$1]=02:66:00:00:$(printf '%02x:%02x' "$3" "$4")
	ip netns add "$test_name-$1" || bail "cannot make a network namespace"
	inside "$1" bash -c "$(declare -f no_dad); no_dad"
	ip link add "v-$1" type veth peer name eth0 address "${mac[$1]}" netns "$test_name-$1" ||
		bail "cannot make a veth"
	ip link set "v-$1" master "$2" up
	inside "$1" sh -c "ip link set lo up; ip link set eth0 up; ip addr add ${v4[$1]}/24 dev eth0;
		ip addr add ${v6[$1]}/64 dev eth0 nodad; ip route add default via 10.66.$3.1;
		ip route add default via fd66:0:0:$3::1"
}

bridged_host_file() { # [NAME...]: as host_file, with the mac of those on bridges
	local name
	host_file "$@" >host.yaml.all
	for name in "${!mac[@]}"; do
		sed -i "s/name: $name,/& mac: '${mac[$name]}',/" host.yaml.all
	done
	cat host.yaml.all
}

br_netfilter() { # 0|1: whether the host's chains see what is bridged
	echo "$1" >/proc/sys/net/bridge/bridge-nf-call-iptables
	echo "$1" >/proc/sys/net/bridge/bridge-nf-call-ip6tables
}
