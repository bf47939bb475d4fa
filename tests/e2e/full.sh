#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # called by name
# Maps that are full, one after the other: what then happens is what the header says, in IPv4 and IPv6, and
# polload tells it.  The data path is that of the templates with small maps (their sizes are macros for that).
# Packets alone, and which reason each is dropped for: tests/packet/full.pkt and flood.pkt.
. "$(dirname "$0")/lib.sh"
http=$e2e_build/tests/tools/http
load=$e2e_build/tests/tools/httpload
repin=$e2e_build/tests/tools/repin
for tool in "$http" "$load" "$repin"; do
	[ -x "$tool" ] || skip "$tool is not built"
done
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

# ---- every map of the templates: who fills it, and what is checked where -----------------------

# fixed: an element for each of something that is counted when the object is written or the policy applied
# copy: of another map, or of what the kernel knows; what has no place is looked up there
maps="
ct		full_ct, packet/full.pkt, flood.pkt: dropped, ct_full and ct_quota
frags		packet/full.pkt: the oldest makes room
edge_frags	as frags
proxy_flows	full_proxy: the oldest makes room
proxy_onward	full_proxy: the oldest makes room; packet/proxy.pkt: dropped, proxy_full
proxy_again	full_proxy: the oldest makes room
limits		full_limits: who goes leaves none; packet/full.pkt: dropped, limit
limit_sources	packet/policy.pkt: the shared bucket serves
audited		full_audited: suggest and metrics count what found no room
diffs		full_diffs: shadow counts what found no room
svc_ct		full_svc_ct: dropped, svc_full; serviceflood.sh: who is half open makes room
rings		see.sh: what is lost is counted
watch		see.sh: a ninth reader is told
ep_by_if	full_ep_by_if: endpoint add refuses and leaves nothing
ep_by_addr	full_ep_by_if: written by the same function
sets		full_sets: apply refuses
svc_balancers	full_balancers: apply refuses
if_near		copy
svc_hops	copy
proxy_listeners	fixed
watch_lost	fixed
drops		fixed
scratch		fixed
asked		fixed
shadow		fixed
proxy_self	fixed
proxy_scratch	fixed
ep_state	fixed
addr_column	fixed
rule_hits	fixed
audit_lost	fixed
telling		fixed
diff_sums	fixed
rates		fixed
icmp_rates	fixed
svc_ports	fixed
svc		fixed
svc_ring	fixed
svc_backends	fixed
svc_hits	fixed
svc_self	fixed
svc_source	fixed
"
is "what is said of each map" "$(sed -n 's/^} \([a-z_]*\) SEC(".maps");.*/\1/p' "$POLC_TEMPLATES"/*.h | sort)" \
	"$(awk 'NF { print $1 }' <<<"$maps" | sort)"

# ---- a host whose maps are small ------------------------------------------------------------------

mkdir small
for header in "$POLC_TEMPLATES"/*.h; do
	ln -s "$(realpath "$header")" small/
done
rm small/datapath.h
cat >small/datapath.h <<END
#include <polc/abi.h>
#undef POL_AGAIN_MAX
#define POL_AGAIN_MAX 4u
#undef POL_SHADOW_DIFFS
#define POL_SHADOW_DIFFS 2u
#define POL_CT_BUCKETS 64u
#define POL_SVC_CT_BUCKETS 2u
#define POL_IF_MAX 5u
#define POL_AUDITED_MAX 4u
#define POL_LIMITS_MAX 4u
#define POL_PROXY_FLOWS_MAX 8u
#include "$(realpath "$POLC_TEMPLATES/datapath.h")"
END
export POLC_TEMPLATES=$work/small

container client 1 "app: client"
container server 2 "app: server"
container odd 3 "app: odd"
outside world
v4[vip]=198.51.100.10
v6[vip]=2001:db8:2::10
inside world ip route add 198.51.100.10 via 192.0.2.1
inside world ip -6 route add 2001:db8:2::10 via 2001:db8:1::1
for port in 7000 7001 7002 7003 7100; do
	serve server tcp "$port"
done
for a in "${v4[server]}" "${v6[server]}"; do
	spawn server "$http" serve "$a" 80
done
listening server tcp 80
host_file client >host.yaml
join() { # NAME APP
	"$POLLOAD" endpoint add "$1" interface="v-$1" address="${v4[$1]}" address="${v6[$1]}" label=app="$2" >/dev/null ||
		not_ok "endpoint add $1"
}
leave() { # NAME
	"$POLLOAD" endpoint del "$1" >/dev/null || not_ok "endpoint del $1"
}

policy() { # LINES for the server
	cat <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
endpoint odd = app == "odd";
policy client { allow to any; }
policy "by and by" on odd audit { deny from any on tcp 20-25; }
policy odd { allow to any; allow from any; }
policy server {
    allow from host, world on tcp 7003;
    allow from client on tcp 7100 limit 1000/s burst 1000;
    allow from any on tcp 80 http { allow GET "/hit/**"; }
$1
}
service shop { vip 198.51.100.10, 2001:db8:2::10 on tcp 80; backend server on tcp 7003; }
END
}
policy '    allow from any on tcp 7000; allow from any on tcp 7001; allow from any on tcp 7002;' | compile one
policy '' | compile two
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "apply" "0 " "$code $(grep -v '^note' <<<"$err")"
join server server
join odd odd

drops() { # REASON: packets
	"$POLLOAD" status --json | jq ".drops.$1.packets // 0"
}
metric() { # NAME
	"$POLLOAD" metrics | sed -n "s/^$1 //p"
}
refused() { # WHAT PATTERN COMMAND...: nothing is changed, and why is said
	local what=$1 pattern=$2
	shift 2
	snapshot >before
	run "$@"
	snapshot >after
	like "$what: refused" "$pattern" "$err"
	is "... with an error" yes "$([ "$code" -ge 2 ] && echo yes)"
	is "... and nothing is changed" "" "$(diff before after)"
}

# ---- one after the other ---------------------------------------------------------------------------

full_audited() {
	local port tried=0
	for port in 20 21 22 23 24 25; do
		for a in "${v4[odd]}" "${v6[odd]}"; do
			inside client "$PROBE" connect tcp "$a" "$port" --timeout 20000 >/dev/null
			tried=$((tried + 1))
		done
	done
	is "audited: suggest says how many found no room" "# $((tried - 4)) flows found no room and are not among them." \
		"$("$POLLOAD" suggest | grep 'no room')"
	is "... in JSON too" $((tried - 4)) "$("$POLLOAD" suggest --json | jq .lost)"
	is "... and metrics count them all" "$tried" "$(metric polc_audited_total)"
	leave odd
	is "... who goes makes room" 0 "$("$POLLOAD" suggest --json | jq '.flows | length')"
	join odd odd
	inside client "$PROBE" connect tcp "${v4[odd]}" 20 --timeout 20000 >/dev/null
	inside client "$PROBE" connect tcp "${v6[odd]}" 20 --timeout 20000 >/dev/null
	is "... for who comes" 2 "$("$POLLOAD" suggest --json | jq '[.flows[].flows] | add')"
}

# Each that comes uses its bucket; there are four.
full_limits() {
	local n odd=0
	for n in 1 2 3 4 5 6; do
		leave server
		join server server
		[ "$(try client server tcp 7100)" = "open open" ] || odd=$((odd + 1))
	done
	is "limits: whoever comes has a bucket" "0 0" "$odd $(drops limit)"
}

full_diffs() {
	"$POLLOAD" apply --shadow two.bpf.o >/dev/null || not_ok "apply --shadow"
	for port in 7000 7001 7002; do
		try client server tcp "$port" >/dev/null
	done
	is "diffs: shadow says how many found no room" "6 2" "$("$POLLOAD" shadow --json | jq -r '"\(.differ) \(.lost)"')"
	like "... in words" "2 differences by other rules: there are more than" "$("$POLLOAD" shadow)"
	is "... and what is in force passes" "open open" "$(try client server tcp 7002)"
	"$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply"
}

# 30 connections at once of which the tables know 8, and as many again.
full_proxy() {
	local a held=()
	for a in "${v4[server]}" "${v6[server]}"; do
		inside client "$http" hold "$a" 80 15 >"held.$a" &
		held+=($!)
	done
	for a in "${v4[server]}" "${v6[server]}"; do
		for _ in $(seq 600); do [ -s "held.$a" ] && break; sleep 0.05; done
	done
	is "proxy_flows, proxy_onward: every request is answered" "15 15" "$(cat held.* | grep -o '^[0-9]*' | paste -sd' ')"
	kill "${held[@]}"
	wait "${held[@]}" 2>/dev/null
	is "... by rules still" "403 403" "$(for a in "${v4[server]}" "[${v6[server]}]"; do
		inside client curl -s -o /dev/null -m 30 -w '%{http_code}\n' "http://$a/other"; done | paste -sd' ')"
}

full_svc_ct() {
	local a n streams=() before
	for n in 1 2 3 4 5 6 7 8; do
		for a in "${v4[vip]}" "${v6[vip]}"; do
			spawn world "$PROBE" stream "$a" 80 --interval 50 --timeout 30000 --count "$work/echoes.$n.$a"
			streams+=("$spawned")
		done
	done
	for _ in $(seq 600); do
		[ "$(cat echoes.* 2>/dev/null | awk '$1 > 0' | wc -l)" -lt 16 ] || break
		sleep 0.05
	done
	is "svc_ct: as many connections as it has places" 16 "$("$POLLOAD" services --json | jq '[.[0].backends[].connections] | add')"
	before=$(drops svc_full)
	is "... one more is dropped" "timeout timeout" "$(patience=400 try world vip tcp 80)"
	is "... and counted" yes "$([ "$(drops svc_full)" -ge $((before + 2)) ] && echo yes)"
	is "... in metrics too" "$(drops svc_full)" "$(metric 'polc_drops_packets_total{reason="svc_full"}')"
	kill -TERM "${streams[@]}"
	n=0
	for a in "${streams[@]}"; do
		wait "$a" && n=$((n + 1))
	done
	is "... while all that were there live" 16 "$n"
}

full_ep_by_if() {
	# client, server, odd and up0 are four of five
	container c4 4 "app: odd"
	container c5 5 "app: odd"
	join c4 odd
	refused "ep_by_if: one more endpoint" "map 'ep_by_if': is full" \
		"$POLLOAD" endpoint add c5 interface=v-c5 address="${v4[c5]}" address="${v6[c5]}" label=app=odd
	is "... who was there goes on" "open open" "$(try client server tcp 7000)"
	host_file client c5 >more.yaml
	refused "ep_by_if: a host file with one more" "map 'ep_by_if': is full" "$POLLOAD" apply one.bpf.o -H more.yaml
	leave c4
	join c5 odd
	is "... who goes makes room" "open open" "$(try c5 server tcp 7000)"
	leave c5
}

full_balancers() {
	{ cat host.yaml; echo "balancers:"; seq -f '  - "2001:db8:9::%g"' 1025; } >balancers.yaml
	refused "svc_balancers: a host file with more" "more than 1024 balancers" "$POLLOAD" apply one.bpf.o -H balancers.yaml
}

full_sets() {
	printf '%s\n' 'default allow;' 'cidr mine dynamic; cidr other dynamic;' \
		'filter f on up0 { drop from mine; drop from other; pass; }' | compile sets
	"$repin" "$POLC_BPFFS" sets 1 || not_ok "repin"
	refused "sets: a name more than there are places" "this host has 63 dynamic sets already" "$POLLOAD" apply sets.bpf.o
	sed 's/cidr other dynamic/cidr set7 dynamic/; s/from other/from set7/' sets.pol | compile fits
	run "$POLLOAD" apply fits.bpf.o
	is "... as many as there are" 0 "$code"
	"$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply"
}

# This host is held to no share of the table: 512 places.
full_ct() {
	local a held=() stream
	spawn client "$PROBE" stream "${v4[server]}" 7000 --interval 50 --timeout 30000 --count "$work/n.ct"
	stream=$spawned
	echoing n.ct
	for a in "${v4[server]}" "${v6[server]}" "${v4[server]}" "${v6[server]}"; do
		"$load" open "$a" 7000 200 >/dev/null &
		held+=($!)
	done
	for _ in $(seq 600); do
		[ "$(drops ct_full)" = 0 ] || break
		sleep 0.05
	done
	is "ct: what finds no room is dropped and counted" yes "$([ "$(drops ct_full)" -gt 0 ] && echo yes)"
	is "... status says what that means" yes "$("$POLLOAD" status | grep -q 'ct_full: .*no room in the connection table' && echo yes)"
	is "... and metrics how much there is" 512 "$(metric polc_flows_room)"
	kill -TERM "$stream" "${held[@]}"
	wait "$stream"
	is "... while what was there lives" 0 $?
}

for map in audited limits diffs proxy svc_ct ep_by_if balancers sets ct; do
	full_$map
done
"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
