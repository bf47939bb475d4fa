#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR disable=SC2317 # parts are called by name
# Everything at once, for long: applies, containers of an engine and endpoints of the command line that come and go,
# requests through the proxy, floods of new flows.  All the time what is allowed goes on and what is denied
# never arrives; memory stays flat, and in the end nothing is left.
#   SOAK_SECONDS=N (1800)
# make check-soak.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/engine.sh"
. "$e2e_tree/tests/e2e/floods.sh"
SNIFF=${SNIFF:-$e2e_build/tests/tools/sniff} LOAD=${LOAD:-$e2e_build/tests/tools/httpload}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}
for program in "$SNIFF" "$LOAD" "$POLPROXY" "$entries"; do
	[ -x "$program" ] || skip "$program is not built"
done
seconds=${SOAK_SECONDS:-1800}
rows=20

policy() { # PORT: that one of two allows
	cat <<END
default deny;
pool 10.66.0.0/16, 10.88.0.0/16, 10.90.0.0/16, fd66::/48, fd88::/64, fd90::/64;
endpoint client = app == "client";
endpoint server = app == "server";
endpoint noisy = app == "noisy";
policy client { allow to server on tcp 80, 7000, $1; }
policy server {
    allow from client on tcp 80 http { allow GET "/ok"; allow GET "/$1"; }
    allow from client on tcp 7000, $1;
    allow from noisy on udp 1-1000;
}
policy noisy { allow to server on udp; }
END
}
policy 8080 | compile one
policy 8081 | compile two

engine_start
images
agent_start
container client 1 "app: client"
container server 2 "app: server"
container other 3 "app: other"
container noisy 4 "app: noisy"
ip netns add "$test_name-churn"
host_file client server other noisy >host.yaml
serve server tcp 7000
for a in "${v4[server]}" "${v6[server]}"; do spawn server "$LOAD" serve "$a" 80; done
inside server "$SNIFF" eth0 99 "$work/sniff" &
"$POLLOAD" apply one.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
d network create -d polc --ipv6 --subnet 10.90.0.0/24 --subnet fd90::/64 one

# ---- what goes on ---------------------------------------------------------------------------

going() { [ ! -e stop ]; }
# A part complains in a file of its own; what it has done are lines of another.
polload() { # PART VERB...
	local part=$1
	shift
	"$POLLOAD" "$@" >/dev/null 2>"said.$part" || { echo "$*"; cat "said.$part"; } >>"complaints.$part"
	echo "$1" >>"done.$part"
}

applies() {
	local i=0
	while going; do
		i=$((i + 1))
		case $((i % 20)) in
		7) polload applies rollback ;;
		13) polload applies apply --shadow two.bpf.o && polload applies shadow --drop ;;
		*[02468]) polload applies apply one.bpf.o -H host.yaml ;;
		*) polload applies apply two.bpf.o -H host.yaml ;;
		esac
		sleep 2
	done
}

# By hand: a device, its endpoint, a connection that is allowed, and one that is not.
endpoints() {
	local i=0
	while going; do
		i=$((i + 1))
		ip link add v-churn type veth peer name eth0 netns "$test_name-churn" || break
		ip link set v-churn up
		ip addr add 10.66.200.1/24 dev v-churn
		inside churn sh -c 'ip link set eth0 up; ip addr add 10.66.200.2/24 dev eth0; ip route add default via 10.66.200.1'
		polload endpoints endpoint add "churn-$i" interface=v-churn address=10.66.200.2 label=app=client
		[ "$(inside churn "$PROBE" connect tcp "${v4[server]}" 7000 --timeout 5000)" = open ] || echo "churn-$i" >>not.open
		inside churn "$PROBE" connect tcp "${v4[server]}" 99 --timeout 50 >/dev/null
		polload endpoints endpoint del "churn-$i"
		ip link del v-churn
		sleep 0.3
	done
}

containers() {
	local i=0 network label
	while going; do
		i=$((i + 1))
		network=one label=client
		[ $((i % 2)) = 1 ] || network=bridge
		[ $((i % 4)) -lt 2 ] || label=other
		# its first instruction sends what is denied
		"$docker" run --rm --name "t$i" --label "app=$label" --network "$network" box:1 \
			sh -c "nc -w 1 ${v4[server]} 99 & sleep 0.2" >/dev/null 2>said.containers
		[ $? != 125 ] || cat said.containers >>complaints.containers
		echo "$i" >>done.containers
		sleep 1
	done
}

# 50 requests a second that are allowed, and one now and then that is not.
requests() { # ADDRESS HOST
	while going; do
		inside client "$LOAD" pace "$1" 80 /ok 4 50 5000 10000 >>done.requests 2>>done.otherwise
		[ "$(inside client curl -s -g -o /dev/null -m 5 -w '%{http_code}' "http://$2/never")" = 403 ] || echo "$2" >>not.forbidden
	done
}

# New flows as fast as they go, a third of the time: by one who may, and such as nobody may.
noise() {
	while going; do
		inside noisy "$PROBE" spray udp "${v4[server]}" --for 2000 >/dev/null
		inside noisy "$PROBE" spray tcp "${v6[server]}" --for 1000 >/dev/null
		sleep 6
	done
}

denied() { # by who may nothing, and by who may something else
	while going; do
		inside other "$PROBE" connect tcp "${v4[server]}" 99 --timeout 300 >/dev/null
		inside other "$PROBE" connect tcp "${v6[server]}" 7000 --timeout 300 >>denied.seen
		inside client "$PROBE" connect udp "${v6[server]}" 99 --timeout 300 >/dev/null
	done
}

# ---- what there is ----------------------------------------------------------------------------

resident() { # PROGRAM: KiB of all its processes; the least of three looks: what it starts is it, until its exec
	local _ pid
	for _ in 1 2 3; do
		for pid in $(pgrep -x "$1"); do sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status"; done |
			awk '{ n += $1 } END { print n + 0 }'
		sleep 0.2
	done | sort -n | head -n 1
}
files() { # PROGRAM: open ones
	local pid
	for pid in $(pgrep -x "$1"); do find "/proc/$pid/fd" -mindepth 1; done 2>/dev/null | wc -l
}
lines() { # FILE
	wc -l <"$1"
}
look() { # a row: seconds, what was done, what may not grow, and the machine's
	echo "$((SECONDS - began)) $(lines done.applies) $(lines done.endpoints) $(lines done.containers)" \
		"$(awk '{ n += $2 } END { print n + 0 }' done.requests)" \
		"$(resident polproxy) $(resident polc-agent) $(files polproxy) $(files polc-agent)" \
		"$(($("$entries" memory "$POLC_BPFFS") / 1024)) $(find bpf | wc -l)" \
		"$("$POLLOAD" status --json | jq .flows) $(awk '/^SUnreclaim/ { print $2 }' /proc/meminfo)"
}
flat() { # WHAT COLUMN MORE: the last third has on average at most that much more than the second third ever had
	is "$1: no more at the end than in the middle" "" "$(awk -v c="$2" -v more="$3" -v rows=$rows '
		NR > rows / 3 && NR <= rows * 2 / 3 && $c > was { was = $c }
		NR > rows * 2 / 3 { sum += $c; n++ }
		END { if (sum / n > was + more) printf "%d, before at most %d\n", sum / n, was }' table)"
}

# ---- all of it ----------------------------------------------------------------------------------

endpoints_are "four stay" "client noisy other server"
# What flows leave behind until they are old or their place is needed is no endpoint's; a generation has a number.
all_but_flows() {
	"$POLLOAD" apply one.bpf.o -H host.yaml >out 2>&1 || cat out
	all_there_is | sed 's/gen_[0-9]*/gen_N/' | grep -Ev '^(gen_N/(polc_bss|icmp_rates)|proxy_flows|proxy_onward) '
}
# Bridges have all their addresses when somebody was there.
for network in bridge one; do d run --rm --network $network box:1 sh -c :; done
endpoints_are "and nobody else" "client noisy other server"
all_but_flows >before
open_streams client 7000 20000 2 "${v4[server]}" "${v6[server]}"
began=$SECONDS
touch done.{applies,endpoints,containers,requests} complaints.{applies,endpoints,containers} not.open not.forbidden denied.seen
parts=()
for part in applies endpoints containers "requests ${v4[server]} ${v4[server]}" "requests ${v6[server]} [${v6[server]}]" \
	noise denied; do
	# shellcheck disable=SC2086 # words
	$part &
	parts+=($!)
done
columns='# %7s %7s %9s %10s %8s %9s %9s %9s %9s %8s %5s %7s %8s\n'
# shellcheck disable=SC2059 # the columns
printf "$columns" seconds applies endpoints containers requests "proxy KiB" "agent KiB" "proxy fds" "agent fds" \
	"maps KiB" pins flows "slab KiB"
for ((i = 1; i <= rows; i++)); do
	while [ $((SECONDS - began)) -lt $((seconds * i / rows)) ]; do sleep 1; done
	look >>table
	# shellcheck disable=SC2046,SC2059 # the columns
	printf "$columns" $(tail -n 1 table)
done
: >stop
wait "${parts[@]}"
end_streams

flat "memory of the proxy" 6 512
flat "memory of the agent" 7 512
flat "files of the proxy" 8 8
flat "files of the agent" 9 4
flat "memory of the maps" 10 2048
is "no apply, no endpoint and no container was refused" "" "$(cat complaints.* | head -n 20)"
is "the four connections lived all the time" 4 "$alive"
is "an endpoint that comes is let through at once" "" "$(cat not.open)"
is "what is denied never came" 0 "$(cat sniff)"
is "and never was answered" timeout "$(sort -u denied.seen)"
is "requests that are denied are told so" "" "$(sort not.forbidden | uniq -c)"
awk '{ due += $1; got += $2 } END { printf "# of %d requests %d were answered with 200\n", due, got }' done.requests
is "requests that are allowed are all answered" "" "$(awk '$2 != $1' done.requests; sort done.otherwise | uniq -c)"
endpoints_are "the four stay, and nobody else" "client noisy other server"
all_but_flows >after
is "nothing is left, nothing is missing" "" "$(diff before after)"
"$POLLOAD" remove >/dev/null || not_ok "remove"
is "and a removal leaves nothing" "" "$(find bpf state -mindepth 1 ! -name '*.debug' ! -path state/polc; tc qdisc show | grep clsact)"
finish
