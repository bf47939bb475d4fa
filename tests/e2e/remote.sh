#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Backends on other hosts: `nat`, and `dsr` by IPIP and IP6IP6 to a host that runs polload, to one whose
# own stack has the VIP, and to one with a plain tunnel.  Once by XDP alone, where both ends of the
# uplinks take what a program sends, and once by the stack.
#
#	client -- edge --+-- lan --+-- d1 (polload) -- web	dsr: answered past the balancer
#	                 |         +-- d2 (polload, has the VIP itself)
#	      this host -+         +-- d3 (a plain tunnel)
#	        |                  +-- n1, n2			nat: answered through it
#	       near
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
netdev=$e2e_build/tests/tools/netdev
foreign=$e2e_build/tests/tools/foreign
for program in "$netdev" "$foreign"; do
	[ -x "$program" ] || skip "$program is not built"
done
[ -c /dev/net/tun ] || skip "no /dev/net/tun"

# ---- the network -------------------------------------------------------------------------

space() { # NAME...: an empty one
	local name
	for name in "$@"; do
		ip netns add "$test_name-$name" || bail "cannot make a network namespace"
		inside "$name" bash -c "$(declare -f no_dad); no_dad; ip link set lo up
			echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
			echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit"
	done
}

cable() { # NAME|- DEVICE NAME|- DEVICE: a veth between two of them; -: this host
	local one=() two=()
	[ "$1" = - ] || one=(netns "$test_name-$1")
	[ "$3" = - ] || two=(netns "$test_name-$3")
	ip link add "$2" "${one[@]}" type veth peer name "$4" "${two[@]}" || bail "cannot make a veth"
	at "$1" ip link set "$2" up
	at "$3" ip link set "$4" up
}

at() { # NAME|- COMMAND...
	local name=$1
	shift
	if [ "$name" = - ]; then "$@"; else inside "$name" "$@"; fi
}

addresses() { # NAME|- DEVICE ADDRESS...
	local name=$1 device=$2 a
	shift 2
	for a in "$@"; do
		case $a in
		*:*) at "$name" ip addr add "$a" dev "$device" nodad ;;
		*) at "$name" ip addr add "$a" dev "$device" ;;
		esac || bail "no address $a"
	done
}

default_by() { # NAME GATEWAY4 GATEWAY6
	inside "$1" ip route add default via "$2"
	inside "$1" ip route add default via "$3"
}

space lan edge client near d1 web d2 d3 n1 n2
inside lan ip link add br0 type bridge
inside lan ip link set br0 up
n=1
for name in - d1 d2 d3 n1 n2; do
	device=eth0
	[ "$name" != - ] || device=up0
	cable $name $device lan "p$n"
	inside lan ip link set "p$n" master br0
	addresses $name $device 192.0.2.$n/24 2001:db8:1::$n/64
	# shellcheck disable=SC2004 # it is associative
	v4[$name]=192.0.2.$n v6[$name]=2001:db8:1::$n
	n=$((n + 1))
done
cable edge lan0 lan p9
inside lan ip link set p9 master br0
addresses edge lan0 192.0.2.254/24 2001:db8:1::fe/64
cable edge far0 client eth0
addresses edge far0 198.18.0.1/24 2001:db8:18::1/64
addresses client eth0 198.18.0.7/24 2001:db8:18::7/64
cable - up1 near eth0
addresses - up1 198.18.1.1/24 2001:db8:19::1/64
addresses near eth0 198.18.1.7/24 2001:db8:19::7/64
cable d1 v-web web eth0
addresses d1 v-web 10.67.1.1/24 fd67::1/64
addresses web eth0 10.67.1.2/24 fd67::2/64 fd67::3/64
v4[web]=10.67.1.2 v6[web]=fd67::2

default_by client 198.18.0.1 2001:db8:18::1
default_by near 198.18.1.1 2001:db8:19::1
default_by web 10.67.1.1 fd67::1
for name in d1 d2 d3; do
	default_by $name 192.0.2.254 2001:db8:1::fe
done
for name in n1 n2; do
	default_by $name 192.0.2.1 2001:db8:1::1
done
ip route add default via 192.0.2.254
ip route add default via 2001:db8:1::fe
ip route add 10.67.1.0/24 via 192.0.2.2
ip route add fd67::/64 via 2001:db8:1::2
inside edge ip route add 198.51.100.0/24 via 192.0.2.1
inside edge ip route add 2001:db8:2::/64 via 2001:db8:1::1
inside edge ip route add 198.18.1.0/24 via 192.0.2.1
inside edge ip route add 2001:db8:19::/64 via 2001:db8:1::1

# VIPs: 10 dsr, 20 nat; their ports say who serves.
v4[vip]=198.51.100.10 v6[vip]=2001:db8:2::10
v4[nat]=198.51.100.20 v6[nat]=2001:db8:2::20
for name in d2 d3; do
	addresses $name lo 198.51.100.10/32 2001:db8:2::10/128
done
spawn d3 "$netdev" tunnel tun0
# shellcheck disable=SC2016 # for the inner shell
inside d3 bash -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >"$f"; done'

serve web tcp 80
serve web udp 53
serve web tcp 86
serve web udp 59
spawn web "$PROBE" listen tcp fd67::3 86
spawn web "$PROBE" listen udp fd67::3 59
# as serve(), at the VIP: 81 of d2, 82 to 84 of d3, 85 of both
for name in d2 d3; do
	ports="81 85"
	[ $name = d2 ] || ports="82 83 84 85"
	for a in "${v4[vip]}" "${v6[vip]}"; do
		for port in $ports; do
			spawn $name "$PROBE" listen tcp "$a" "$port"
			spawn $name "$PROBE" listen udp "$a" $((port - 80 + 53))
		done
	done
done
for name in n1 n2; do
	serve $name tcp 8080
	serve $name udp 8053
done

# ---- policies -----------------------------------------------------------------------------

cat >services.inc <<'END'
default deny;
pool 10.67.0.0/16, fd67::/48;
endpoint web = app == "web";
policy web { allow from { 198.18.0.0/15, 2001:db8:18::/48, 2001:db8:19::/48 } on tcp 80, tcp 86, udp 53, udp 59; }
END
dsr_pair() { # NAME TCP UDP BACKEND...
	local name=$1 tcp=$2 udp=$3 b
	shift 3
	echo "service $name { vip 198.51.100.10, 2001:db8:2::10 on tcp $tcp; mode dsr;"
	for b in "$@"; do echo "	backend $b on tcp $tcp;"; done
	echo "}"
	echo "service $name-names { vip 198.51.100.10, 2001:db8:2::10 on udp $udp; mode dsr;"
	for b in "$@"; do echo "	backend $b on udp $udp;"; done
	echo "}"
}
{
	cat services.inc
	dsr_pair endpoint 80 53 web
	dsr_pair itself 81 54 192.0.2.3 2001:db8:1::3
	dsr_pair plain 82 55 192.0.2.4 2001:db8:1::4
	dsr_pair six 83 56 2001:db8:1::4
	dsr_pair four 84 57 192.0.2.4
	dsr_pair both 85 58 192.0.2.3 192.0.2.4
	echo 'endpoint web-six = app == "web-six";'
	dsr_pair cross 86 59 web-six
	cat <<-END
		service shop {
			vip 198.51.100.20, 2001:db8:2::20 on tcp 80;
			backend 192.0.2.5 on tcp 8080;
			backend 192.0.2.6 on tcp 8080;
			backend 2001:db8:1::5 on tcp 8080;
			backend 2001:db8:1::6 on tcp 8080;
		}
		service names {
			vip 198.51.100.20, 2001:db8:2::20 on udp 53;
			backend 192.0.2.5 on udp 8053;
			backend 192.0.2.6 on udp 8053;
			backend 2001:db8:1::5 on udp 8053;
			backend 2001:db8:1::6 on udp 8053;
		}
	END
} >edge.text
compile edge <edge.text
{
	cat services.inc
	dsr_pair endpoint 80 53 web
	dsr_pair cross 86 59 web
} >d1.text
compile d1 <d1.text
{
	echo "default deny;"
	dsr_pair itself 81 54 192.0.2.3 2001:db8:1::3
	dsr_pair both 85 58 192.0.2.3
} >d2.text
compile d2 <d2.text

balancer_file() { # [DIRECT...]
	local IFS=,
	echo "uplinks: [up0, up1]"
	echo "direct: [$*]"
	# tunnels from one address, and then from several
	[ $# = 0 ] || echo "tunnel_source: [192.0.2.64/29, \"2001:db8:1::40/125\"]"
	echo "remote:"
	echo "  - {name: web, addresses: [10.67.1.2, \"fd67::2\"], labels: {app: web}}"
	# the same machine, to which only IPv6 leads
	echo "  - {name: web-six, addresses: [\"fd67::3\"], labels: {app: web-six}}"
}
unpacker_file() {
	echo "uplinks: [eth0]"
	echo "balancers: [192.0.2.1, \"2001:db8:1::1\", 192.0.2.64/29, \"2001:db8:1::40/125\"]"
	[ "$1" != d1 ] ||
		echo "endpoints: [{name: web, interface: v-web, addresses: [10.67.1.2, \"fd67::2\", \"fd67::3\"], labels: {app: web}}]"
}
for name in d1 d2; do
	unpacker_file $name >$name.yaml
	run inside $name env POLC_BPFFS="$work/bpf/$name" POLC_STATE_DIR="$work/state/$name" \
		"$POLLOAD" apply $name.bpf.o -H $name.yaml
	is "apply on $name" "0 " "$code $(grep -v '^note' <<<"$err")"
done

drops() { # REASON: packets, here
	"$POLLOAD" status --json | jq ".drops.$1.packets // 0"
}

# All services, from a client behind a router and from one on another uplink.
everybody() {
	local from port
	for from in client near; do
		for port in 80 81 82 83 84 85 86; do
			expect open $from vip tcp $port
			expect open $from vip udp $((port - 80 + 53))
		done
		expect open $from nat tcp 80
		expect open $from nat udp 53
		is "$phase: an echo of $from" "open open" "$(try $from vip ping)"
	done
}

stream() { # FROM ADDRESS PORT [OPTION...]: how it ended
	inside "$1" "$PROBE" stream "${@:2}" --for 300 --timeout 30000 | cut -d' ' -f2
}

streams() { # of 20,000 bytes each, at once: ADDRESS PORT...
	local to waits=()
	for to; do
		stream client "${to% *}" "${to#* }" --size 20000 >"large.${to/ /.}" &
		waits+=($!)
	done
	wait "${waits[@]}"
	for to; do
		is "$phase: large segments to ${to/ / port }" open "$(cat "large.${to/ /.}")"
	done
}

mtu_to_client() { # NAME 4|6: what that host has been told of the way there
	local to=198.18.0.7
	[ "$2" = 4 ] || to=2001:db8:18::7
	inside "$1" ip "-$2" route get "$to" | sed -n 's/.* mtu \([0-9]*\).*/\1/p'
}

# A large segment does not fit a tunnel: its sender is told, or was told before by a smaller MSS.  What the
# answers meet on their way, behind the balancer's back, comes to the backend that sent them.
large() {
	local port all=() host family big

	big=$(drops svc_too_big)
	streams "${v4[vip]} 80" "${v6[vip]} 80"
	is "... which knew beforehand" "$big" "$(drops svc_too_big)"
	for port in 81 82 83 84; do
		all+=("${v4[vip]} $port" "${v6[vip]} $port")
	done
	streams "${all[@]}" "${v4[nat]} 80" "${v6[nat]} 80"
	is "$phase: senders were told what does not fit" yes "$([ "$(drops svc_too_big)" -gt "$big" ] && echo yes)"
	for host in web d2 d3; do
		for family in 4 6; do
			is "$phase: $host was told of the way to the client, IPv$family" 1300 "$(mtu_to_client $host $family)"
		done
	done
	for family in 4 6; do
		is "$phase: so was who serves behind nat, IPv$family" 1300 \
			"$(mtu_to_client n1 $family | grep . || mtu_to_client n2 $family)"
	done
}

narrow() { # MTU: of what edge sends to the client
	inside edge ip route replace 198.18.0.7/32 dev far0 mtu lock "$1"
	inside edge ip -6 route replace 2001:db8:18::7/128 dev far0 mtu lock "$1"
	for name in client web d1 d2 d3 n1 n2; do
		inside $name ip route flush cache
		inside $name ip -6 route flush cache
	done
}

# ---- by the stack, and by XDP -----------------------------------------------------------------

balancer_file >stack.yaml
balancer_file up0 up1 | tee half.yaml >direct.yaml
# A veth takes what XDP sends from its peer if it has a program itself.
mkfifo hold
exec 8<>hold
for end in "lan p1" "near eth0"; do
	inside "${end% *}" "$foreign" "${end#* }" xdp <&8 >"taken.${end% *}" 2>&1 &
	begun "taken.${end% *}"
done
# half: a program could send them, but for checksums that a stack left half-made
for phase in stack half direct; do
	run "$POLLOAD" apply edge.bpf.o -H $phase.yaml
	for name in client near n1 n2; do
		[ $phase != direct ] || inside $name "$netdev" sums eth0 off || bail "no checksums by the stack"
	done
	is "$phase: apply" 0 "$code"
	[ "$code" = 0 ] || echo "# $err"
	everybody

	# what the stack is given
	counts=()
	for a in "${v4[vip]}" "${v6[vip]}" "${v4[nat]}" "${v6[nat]}"; do
		for device in up0 up1; do
			"$netdev" seen $device "$a" >"seen.${#counts[@]}" &
			counts+=($!)
			begun "seen.$((${#counts[@]} - 1))"
		done
	done
	everybody
	kill "${counts[@]}"
	wait "${counts[@]}"
	seen=$(grep -hv ready seen.* | paste -sd+ | bc)
	rm -f seen.*
	case $phase in
	direct) is "$phase: nothing was the stack's" 0 "$seen" ;;
	*) is "$phase: all was the stack's" yes "$([ "$seen" -gt 80 ] && echo yes)" ;;
	esac
	[ $phase != half ] || continue

	narrow 1300
	large
	narrow 1500

	before=$(drops svc_fragment)
	for a in "${v4[vip]}" "${v6[vip]}"; do
		is "$phase: fragments to $a have no port" timeout \
			"$(inside client "$PROBE" connect udp "$a" 53 --size 4000 --timeout 300)"
	done
	is "... and are counted" yes "$([ "$(drops svc_fragment)" -gt "$before" ] && echo yes)"
done

# ---- what is said at run time ---------------------------------------------------------------

backend() { # SERVICE ADDRESS KEY
	"$POLLOAD" services --json |
		jq -r ".[] | select(.service == \"$1\") | .backends[] | select(.address == \"$2\") | .$3" | head -1
}
streams=()
for port in $(seq 21001 21016); do
	for what in "vip 85" "nat 80"; do
		inside client "$PROBE" stream "${v4[${what% *}]}" "${what#* }" --sport "$port" --interval 30 --timeout 30000 \
			>"stream.${#streams[@]}" 2>&1 </dev/null &
		streams+=($!)
	done
done
opened() {
	for _ in $(seq 300); do
		[ $(($(backend both 192.0.2.3 connections) + $(backend both 192.0.2.4 connections))) -lt 16 ] ||
			[ $(($(backend shop 192.0.2.5 connections) + $(backend shop 192.0.2.6 connections))) -lt 16 ] ||
			return
		sleep 0.1
	done
}
opened
for one in "both 192.0.2.3" "both 192.0.2.4" "shop 192.0.2.5" "shop 192.0.2.6"; do
	# shellcheck disable=SC2086 # words
	is "$one has some of the connections" yes "$([ "$(backend $one connections)" -gt 0 ] && echo yes)"
done
"$POLLOAD" service drain both 192.0.2.3
"$POLLOAD" service drain shop 192.0.2.6
for one in "both 192.0.2.3" "shop 192.0.2.6"; do
	# shellcheck disable=SC2086 # words
	before=$(backend $one connections)
	to=${v4[vip]} port=85
	[ "${one% *}" = both ] || to=${v4[nat]} port=80
	said=$(inside client "$PROBE" repeat tcp "$to" $port --interval 5 --for 300 --timeout 20000)
	like "new ones to $one, which is drained: none is refused" " 0 refused 0 unreachable 0 timeout" " ${said#* open}"
	# shellcheck disable=SC2086 # words
	is "... and none goes to it" yes "$([ "$(backend $one connections)" -le "$before" ] && echo yes)"
done
"$POLLOAD" service undrain both 192.0.2.3
"$POLLOAD" service weight both 192.0.2.4 10
is "a weight" 10 "$(backend both 192.0.2.4 weight)"
"$POLLOAD" apply edge.bpf.o -H stack.yaml >/dev/null
is "it outlives an apply" 10 "$(backend both 192.0.2.4 weight)"
kill "${streams[@]}"
wait "${streams[@]}" 2>/dev/null
is "all connections lived through it" "" "$(grep -hv ' open$' stream.*)"

# ---- who may send tunnels ---------------------------------------------------------------------

# d3 does what the balancer does, to d1; and the balancer sends what is for no service of d1's.
of_d1() { # REASON
	inside d1 env POLC_BPFFS="$work/bpf/d1" POLC_STATE_DIR="$work/state/d1" "$POLLOAD" status --json |
		jq ".drops.$1.packets // 0"
}
nsenter --net="/run/netns/$test_name-web" "$netdev" seen eth0 198.51.100.10 >reached &
reached=$!
begun reached
inside d3 ip route add 10.67.1.0/24 via 192.0.2.2
inside d3 "$netdev" wrap 192.0.2.4 10.67.1.2 198.18.0.7 198.51.100.10 80 || bail "no tunnel"
"$netdev" wrap 192.0.2.1 10.67.1.2 198.18.0.7 10.67.1.2 80 || bail "no tunnel"
for _ in $(seq 300); do
	[ "$(of_d1 policy)" = 0 ] || [ "$(of_d1 svc_tunnel)" = 0 ] || break
	sleep 0.1
done
is "a tunnel from a stranger is for the policy, as protocol 4" yes "$([ "$(of_d1 policy)" -gt 0 ] && echo yes)"
is "what a balancer sends for no service is dropped" yes "$([ "$(of_d1 svc_tunnel)" -gt 0 ] && echo yes)"
kill $reached
wait $reached
is "neither came to the endpoint" 0 "$(grep -v ready reached)"

# A backend that calls the VIP gets another one.  Both are on one link, so the other's answers have to be
# told to go by the balancer, as with any translation.
inside n2 ip route add 192.0.2.5 via 192.0.2.1
inside n2 ip route add 2001:db8:1::5 via 2001:db8:1::1
"$POLLOAD" service undrain shop 192.0.2.6
phase=hairpin
for _ in 1 2 3 4; do
	expect open n1 nat tcp 80
done
finish
