#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Long transfers, routed and bridged, TCP and UDP, v4 and v6, that began before there was any policy:
# a first apply, an upgrade, a rollback and a shadow break none that is allowed, and when they return
# not one more byte comes through of what is denied.  What took over whom at the first apply (the
# kernel's connection tracking, its sockets, the grace) is each tried alone, and none.
. "$(dirname "$0")/lib.sh"
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

bridged() { # NAME NUMBER LABELS: one on br0
	v4[$1]=10.66.9.$2
	v6[$1]=fd66:0:0:9::$2
	labels[$1]=$3
	ip netns add "$test_name-$1" || bail "cannot make a network namespace"
	inside "$1" bash -c "$(declare -f no_dad); no_dad"
	ip link add "v-$1" type veth peer name eth0 netns "$test_name-$1" || bail "cannot make a veth"
	ip link set "v-$1" master br0 up
	inside "$1" sh -c "ip link set lo up; ip link set eth0 up; ip addr add ${v4[$1]}/24 dev eth0;
		ip addr add ${v6[$1]}/64 dev eth0 nodad; ip route add default via 10.66.9.1;
		ip route add default via fd66:0:0:9::1"
	macs+=("-e" "s/{name: $1,/& mac: \"$(inside "$1" ip -o link show eth0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')\",/")
}

policy() { # PORT: allowed beside 7000 and 53
	cat <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 7000, $1, 9000, 9001; allow to server on udp 53; allow to world on tcp 7000; }
policy server { allow from client on tcp 7000, $1; allow from client on udp 53;
    allow from client on tcp 9000, 9001 http { allow GET "/"; } allow from world on tcp 7000; }
END
}

macs=()
ip link add br0 type bridge
ip link set br0 up
ip addr add 10.66.9.1/24 dev br0
ip addr add fd66:0:0:9::1/64 dev br0 nodad
container client 1 "app: client"
container server 2 "app: server"
bridged bclient 3 "app: client"
bridged bserver 4 "app: plain"
outside world
for name in server bserver world; do
	for port in 7000 8080 8081 9000 9001; do serve "$name" tcp "$port"; done
	for port in 53 54; do serve "$name" udp "$port"; done
done
mapfile -t slow < <(inside server ss -Hlntp "sport = :9001" | grep -o 'pid=[0-9]*' | cut -d= -f2)
policy 8080 | sed '/^endpoint server/s/$/ endpoint plain = app == "plain"; policy plain { allow from client on tcp 7000, 8080; allow from client on udp 53; }/; s/allow to server/allow to { server, plain }/g' | compile one
sed 's/8080/8081/g' one.pol | compile two
host_file client server bclient bserver | sed "${macs[@]}" >host.yaml

# ---- transfers -----------------------------------------------------------------------------

declare -A pid=()
begin() { # LABEL FROM TO PORT [OPTION...]: both families
	local label=$1 from=$2 to=$3 port=$4 family address
	shift 4
	for family in v4 v6; do
		[ $family = v4 ] && address=${v4[$to]} || address=${v6[$to]}
		nsenter --net="/run/netns/$test_name-$from" "$PROBE" stream "$address" "$port" --interval 2 \
			--size 8000 --count "n.$label.$family" --timeout 30000 "$@" >"end.$label.$family" 2>&1 </dev/null &
		pid[$label.$family]=$!
	done
}
begin_all() {
	rm -f n.* end.*
	pid=()
	begin tcp client server 7000
	begin udp client server 53 --size 1000 --proto udp
	begin in world server 7000
	begin out client world 7000
	begin port client server 8080
	begin denied client server 8081
	begin denied-udp client server 54 --size 1000 --proto udp
	begin http client server 9000
	begin http-waits client server 9001
	begin b-tcp bclient bserver 7000
	begin b-udp bclient bserver 53 --size 1000 --proto udp
	begin b-denied bclient bserver 8081
	for label in "${!pid[@]}"; do moves "$label" || bail "$label does not begin: $(cat "end.$label")"; done
}
count() { cat "n.$1" 2>/dev/null || echo 0; }
moves() { # LABEL: three more echoes, or false
	local from _
	from=$(count "$1")
	for _ in $(seq 600); do
		[ "$(count "$1")" -ge $((from + 3)) ] && return 0
		kill -0 "${pid[$1]}" 2>/dev/null || return 1
		sleep 0.05
	done
	return 1
}
ends() { # LABEL
	for _ in $(seq 200); do
		kill -0 "${pid[$1]}" 2>/dev/null || return 0
		sleep 0.1
	done
	return 1
}
alive() { # WHAT LABEL...
	local label family dead=
	for label in "${@:2}"; do
		for family in v4 v6; do moves "$label.$family" || dead+=" $label.$family($(cat "end.$label.$family"))"; done
	done
	is "$phase: $1" "" "$dead"
}
dead() { # WHAT HOW LABEL...: no echo more than the one that was under way; it ends by HOW
	local label family odd='' before
	for label in "${@:3}"; do
		for family in v4 v6; do
			before+=("$(count "$label.$family")")
			[ "$2" != timeout ] || kill -USR1 "${pid[$label.$family]}" 2>/dev/null
		done
	done
	for label in "${@:3}"; do
		for family in v4 v6; do
			ends "$label.$family" || odd+=" $label.$family(goes on)"
			[ $(($(count "$label.$family") - before[0])) -le 2 ] || odd+=" $label.$family"
			case " $2 " in
			*" $(cut -d' ' -f2 "end.$label.$family") "*) ;;
			*) odd+=" $label.$family($(cat "end.$label.$family"))" ;;
			esac
			before=("${before[@]:1}")
		done
	done
	is "$phase: $1" "" "$odd"
}
end_all() {
	kill "${pid[@]}" 2>/dev/null
	wait "${pid[@]}" 2>/dev/null
}
allowed=(tcp udp in out port b-tcp b-udp)
# Clients that wait for an answer and have nothing more to say are to learn of the end all the same: the
# first word that is judged is their server's.
hush() { # its server says nothing, and its clients are heard out
	local _
	kill -STOP "${slow[@]}" || bail "the server does not stop"
	for _ in $(seq 600); do
		inside client ss -Hnti "dport = :9001" | grep -q unacked: || return
		sleep 0.05
	done
	bail "the clients are not silent"
}

# ---- first applies ----------------------------------------------------------------------------

first() { # PHASE OPTION...
	phase=$1
	shift
	begin_all
	hush
	run "$POLLOAD" apply one.bpf.o -H host.yaml "$@"
	kill -CONT "${slow[@]}"
	is "$phase: apply" "0 " "$code $err"
	echo "# $phase: $out"
}
tracking() { # on | off: does the kernel track connections here?
	if [ "$1" = on ]; then
		nft 'add table inet t; add chain inet t c { type filter hook prerouting priority 0; }; add rule inet t c ct state invalid counter'
	else
		nft 'delete table inet t'
	fi
}

first "neither tables nor grace" --no-import --grace 0
dead "all connections end" timeout tcp in out port b-tcp denied denied-udp
end_all
"$POLLOAD" remove >/dev/null || bail remove

first "the sockets alone" --grace 0
alive "what is allowed goes on" "${allowed[@]}"
dead "what is denied does not" timeout denied denied-udp b-denied
dead "what comes under HTTP rules is reset" refused http http-waits
end_all
"$POLLOAD" remove >/dev/null || bail remove

first "the grace alone" --no-import
alive "what is allowed goes on" "${allowed[@]}"
dead "what is denied does not" timeout denied denied-udp b-denied
dead "what comes under HTTP rules is reset" refused http http-waits
end_all
"$POLLOAD" remove >/dev/null || bail remove

tracking on
first "connection tracking" --grace 0
like "$phase: says so" "taken over" "$out"
alive "what is allowed goes on" "${allowed[@]}"
dead "what is denied does not" timeout denied denied-udp b-denied
dead "what comes under HTTP rules is reset" refused http http-waits
tracking off

# ---- and then ------------------------------------------------------------------------------------

always=(tcp udp in out b-tcp b-udp)
phase=shadow
run "$POLLOAD" apply --shadow two.bpf.o -H host.yaml
is "$phase: begins" "0 " "$code $err"
alive "breaks nothing, not what it would deny either" "${allowed[@]}"
phase="new flows beside a shadow"
expect open client server tcp 8080
expect timeout client server tcp 8081
run "$POLLOAD" shadow --json
is "its answer: they differ" 1 "$code"
pairs() { jq -r "[.differences[] | select(.was.verdict == \"$1\" and .is.verdict == \"$2\" and .live == $3)] | map(.flows) | add" <<<"$out"; }
is "allowed and denied by it: two new flows" 2 "$(pairs allow deny false)"
is "and both that lived" 2 "$(pairs allow deny true)"
is "denied and allowed by it: some, and none lived" "yes null" "$([ "$(pairs deny allow false)" -ge 2 ] && echo yes) $(pairs deny allow true)"
is "by these rules" "one.pol two.pol" "$(jq -r '.differences[0] | [.was.rule, .is.rule] | map(sub(":.*"; "")) | join(" ")' <<<"$out" | sed "s,$work/,,g")"
run "$POLLOAD" shadow
like "as text, with a flow for each" "becomes allow by" "$out"
while read -r line; do echo "# $line"; done <<<"$out"
run "$POLLOAD" status
like "status tells of it" "shadow" "$out"
is "and that all is well" 0 "$code"

phase=upgrade
run "$POLLOAD" shadow --commit
is "$phase: the shadow takes force" "0 " "$code $err"
dead "what it denies ends" timeout port
alive "the others go on" "${always[@]}"
expect open client server tcp 8081
run "$POLLOAD" shadow
is "the shadow is gone" 1 "$code"

phase=rollback
begin late client server 8081
{ moves late.v4 && moves late.v6; } || bail "late does not begin"
run "$POLLOAD" rollback
is "$phase" "0 " "$code $err"
dead "what the one before denies ends" timeout late
alive "the others go on" "${always[@]}"

phase="a shadow that is dropped"
"$POLLOAD" apply --shadow two.bpf.o >/dev/null || not_ok "$phase"
container later 5 "app: client"
run "$POLLOAD" endpoint add later interface=v-later "address=${v4[later]}" "address=${v6[later]}" label=app=client
is "$phase: an endpoint that comes" "0 " "$code $err"
expect timeout later server tcp 8081
gained() { "$POLLOAD" shadow --json | jq '[.differences[] | select(.was.verdict == "deny" and .is.verdict == "allow") | .sample.src] | length'; }
# its first SYNs may have waited for a neighbour until the probe gave up
for _ in 1 2 3 4 5; do [ "$(gained)" = 2 ] || patience=400 try later server tcp 8081 >/dev/null; done
is "is judged by it" 2 "$(gained)"
run "$POLLOAD" endpoint del later
is "and one that goes" "0 " "$code $err"
run "$POLLOAD" shadow --drop
is "$phase: drop" "0 " "$code $err"
alive "all go on" "${always[@]}"
is "one generation is left" 1 "$(find bpf/polc -maxdepth 1 -name 'gen_*' | wc -l)"
end_all
ip link del v-later
run "$POLLOAD" status
is "status" "0" "$code$(grep MISSING <<<"$out")"
finish
