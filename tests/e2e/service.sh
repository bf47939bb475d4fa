#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A service with three backends: clients outside and inside see the VIP, policies the backends; one
# drained and one killed while connections are open, health checks, all down, apply and rollback.
. "$(dirname "$0")/lib.sh"

http=$e2e_build/tests/tools/http
[ -x "$http" ] || skip "$http is not built"

container b1 1 "app: web"
container b2 2 "app: web"
container b3 3 "app: web"
container in 4 "app: client"
outside client
inside client ip route add 198.51.100.10 via 192.0.2.1
inside client ip -6 route add 2001:db8:2::10 via 2001:db8:1::1
v4[vip]=198.51.100.10
v6[vip]=2001:db8:2::10
declare -A listener=()
for b in b1 b2 b3; do
	spawn $b "$PROBE" listen tcp "${v4[$b]}" 8080
	listener[$b]=$spawned
	spawn $b "$PROBE" listen tcp "${v6[$b]}" 8080
	listener[$b]+=" $spawned"
	serve $b udp 8053
done

for b in b1 b2 b3; do
	mkdir pages.$b
	printf 'HTTP/1.1 %s\r\n\r\n' "$([ $b = b3 ] && echo "503 Unavailable" || echo "204 No Content")" >pages.$b/live
	for a in "${v4[$b]}" "${v6[$b]}"; do
		if [ $b = b2 ]; then
			spawn $b "$PROBE" listen tcp "$a" 8081
		else
			spawn $b "$http" serve "$a" 8081 --raw pages.$b
		fi
	done
	listening $b tcp 8081
done

policy() { # BALANCE
	cat <<POL
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint web = app == "web";
policy web {
	allow from { 192.0.2.7, 2001:db8:1::7, [app == "client"], web } on tcp 8080, udp 8053;
	allow from host on tcp 8080, 8081;
	allow to shop on tcp 80;
}
policy client on [app == "client"] { allow to shop on tcp 80; }
service shop {
	vip 198.51.100.10, 2001:db8:2::10 on tcp 80;
	backend web on tcp 8080;
	balance $1;
	check tcp every 1 timeout 1 rise 1 fall 2;
}
service pages {
	vip 198.51.100.10, 2001:db8:2::10 on tcp 81;
	backend web on tcp 8081;
	check http "/raw/live" every 1 timeout 1 rise 1 fall 1;
}
service names {
	vip 198.51.100.10, 2001:db8:2::10 on udp 53;
	backend web on udp 8053;
}
POL
}
policy maglev | compile shop
policy random | compile random
host_file b1 b2 b3 in >host.yaml
run "$POLLOAD" apply shop.bpf.o -H host.yaml
is "apply" 0 "$code"
[ "$code" = 0 ] || echo "# $err"

# What `polload services` says of an endpoint's IPv4 backend.
backend() { # NAME KEY [SERVICE]
	"$POLLOAD" services --json |
		jq -r ".[] | select(.service == \"${3:-shop}\") | .backends[] | select(.endpoint == \"$1\" and (.address | contains(\".\"))) | .$2"
}
phase=outside
expect open client vip tcp 80
expect open client vip udp 53
is "an echo to the VIP" "open open" "$(try client vip ping)"
expect timeout client b1 tcp 80

# A hop limit that ends here: the stack answers as a router, and one more gets there.
phase="hop limit 1"
exceeded() { # how often the client was told so, v4 and v6
	inside client nstat -asz IcmpInTimeExcds Icmp6InTimeExcds | awk '!/^#/ { printf "%s%d", sep, $2; sep = " " }'
}
via() { # HOPLIMIT: to the VIP
	inside client ip route replace 198.51.100.10 via 192.0.2.1 hoplimit "$1"
	inside client ip -6 route replace 2001:db8:2::10 via 2001:db8:1::1 hoplimit "$1"
}
ip route add default via 192.0.2.7
ip -6 route add default via 2001:db8:1::7
inside client sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit'
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
is "none yet" "0 0" "$(exceeded)"
via 1
is "TCP" "timeout timeout" "$(patience=400 try client vip tcp 80 | sed 's/unreachable/timeout/g')"
is "time exceeded, once or more in each family" "yes yes" "$(exceeded | awk '{ print ($1 ? "yes" : "no"), ($2 ? "yes" : "no") }')"
via 2
phase="hop limit 2"
expect open client vip tcp 80
expect open client vip udp 53
inside client ip route replace 198.51.100.10 via 192.0.2.1
inside client ip -6 route replace 2001:db8:2::10 via 2001:db8:1::1
ip route del default
ip -6 route del default
phase=

# What XDP drops is told too.
"$POLLOAD" monitor --json --each --count 1 drop >fragment &
monitor=$!
begun fragment
is "fragments to a VIP have no port" timeout "$(inside client "$PROBE" connect udp "${v4[vip]}" 53 --size 4000 --timeout 300)"
wait $monitor
like "... and the monitor says so" '"svc_fragment"' "$(cat fragment)"

# The client is not translated: only its own address is allowed.
phase=inside
expect open in vip tcp 80
expect timeout in vip udp 53
expect timeout in b1 tcp 8080

# A backend is never given itself; two of three tries or more would be.
phase=hairpin
for _ in 1 2 3 4 5 6; do
	expect open b1 vip tcp 80
done
phase=

run "$POLLOAD" services
is "services" 0 "$code"
like "... says who serves" "10.66.2.2:8080  b2" "$out"
run "$POLLOAD" service drain shop nobody
is "no such backend" 2 "$code"
like "... is named" "service 'shop' has no backend 'nobody'" "$err"
run "$POLLOAD" service weight shop b1 0
is "a weight of 0" 2 "$code"

# ---- drained, and killed, while connections are open ------------------------------------
streams=()
n=0
for port in $(seq 20001 20024); do
	inside client "$PROBE" stream "${v4[vip]}" 80 --sport "$port" --interval 30 --timeout 30000 >"stream.$port" 2>&1 </dev/null &
	streams+=($!)
done
# shellcheck disable=SC2317 # called by `becomes`
connections() { echo $(($(backend b1 connections) + $(backend b2 connections) + $(backend b3 connections))); }
# shellcheck disable=SC2317 # likewise
at_least() { [ "$(connections)" -ge 24 ] && echo yes; }
becomes "24 connections are open" yes at_least
share=$(backend b2 connections)
for b in b1 b2 b3; do
	[ "$(backend $b connections)" -gt 0 ] && n=$((n + 1))
done
is "all three serve" 3 "$n"

"$POLLOAD" service drain shop b1
is "b1 is drained" drained "$(backend b1 state)"
before=$(backend b1 connections)
# with what its unit leaves it
setpriv --bounding-set=-all,+bpf,+net_admin,+perfmon --inh-caps=-all --no-new-privs "$POLLOAD" health >health.log 2>&1 &
health=$!
# shellcheck disable=SC2086
kill ${listener[b2]}
becomes "b2 is found down" down backend b2 state
like "... and that is said" "'shop': 10.66.2.2 port 8080 is down" "$(cat health.log)"

run inside client "$PROBE" repeat tcp "${v4[vip]}" 80 --interval 2 --for 600 --timeout 20000
like "new ones all go to b3: none is refused" " 0 refused 0 unreachable 0 timeout" " ${out#* open}"
if [ "$(backend b1 connections)" -le "$before" ]; then
	ok "none to the drained one"
else
	not_ok "none to the drained one" "before: $before" "after: $(backend b1 connections)"
fi

# ---- by HTTP -----------------------------------------------------------------------------
becomes "a page that is there" up backend b1 state pages
becomes "what is no HTTP" down backend b2 state pages
like "... is named" "does not answer with HTTP" "$(backend b2 why pages)"
becomes "an error" down backend b3 state pages
# Where all is slow it may have been a timeout first.
# shellcheck disable=SC2317 # called by becomes
named_503() { backend b3 why pages | grep -o 503; }
becomes "... is named" 503 named_503
printf 'HTTP/1.1 200 OK\r\n\r\n' >pages.b3/live
becomes "it is mended" up backend b3 state pages

# ---- the same state after an apply; live connections stay ---------------------------------
run "$POLLOAD" apply random.bpf.o
is "apply of another policy" 0 "$code"
is "b1 is drained still" drained "$(backend b1 state)"
is "b2 is down still" down "$(backend b2 state)"
run "$POLLOAD" rollback
is "rollback" 0 "$code"
run inside client "$PROBE" repeat tcp "${v4[vip]}" 80 --interval 5 --for 300 --timeout 20000
like "new ones go on" " 0 refused 0 unreachable 0 timeout" " ${out#* open}"

kill "${streams[@]}" 2>/dev/null
wait "${streams[@]}" 2>/dev/null
broken=$(cat stream.* | grep -vc ' open$')
if [ "$broken" -le "$share" ]; then
	ok "no connection broke but those of the killed one ($broken of $share)"
else
	not_ok "no connection broke but those of the killed one" "broken: $broken" "it had: $share"
fi

# ---- nobody is left -------------------------------------------------------------------------
"$POLLOAD" service drain shop b3
phase="all down"
expect refused client vip tcp 80
expect refused in vip tcp 80
phase=
"$POLLOAD" service drain names b1
"$POLLOAD" service drain names 10.66.2.2
"$POLLOAD" service drain names "[fd66:0:0:2::2]:8053"
"$POLLOAD" service drain names b3
phase="all down"
expect refused client vip udp 53
phase=
serve b2 tcp 8080
becomes "b2 is back" up backend b2 state
expect open client vip tcp 80
"$POLLOAD" service undrain shop b1
"$POLLOAD" service weight shop b1 3
is "weight" 3 "$(backend b1 weight)"
"$POLLOAD" service weight shop b1 policy
is "weight of the policy" 1 "$(backend b1 weight)"
kill $health
wait $health 2>/dev/null
is "health ends when told to" 0 $?

# ---- endpoints that come and go ----------------------------------------------------------------
"$POLLOAD" endpoint del b2
"$POLLOAD" service drain shop b1
"$POLLOAD" service undrain shop b3
expect open client vip tcp 80
"$POLLOAD" service drain shop b3
phase="its backends are gone"
expect refused client vip tcp 80
phase=
"$POLLOAD" endpoint add b4 interface=v-b2 address=10.66.2.2 address=fd66:0:0:2::2 label=app=web
expect open client vip tcp 80

# ---- what was said of who has gone ------------------------------------------------------------
said() { bpftool -j map dump pinned "$POLC_BPFFS/svc_state" | jq length; }
b2_as() { # NAME
	"$POLLOAD" endpoint add "$1" interface=v-b2 address=10.66.2.2 address=fd66:0:0:2::2 label=app=web || not_ok "endpoint add"
}
is "b2 was drained, at an address that b4 has now" "up" "$(backend b4 state names)"
before=$(said)
"$POLLOAD" service drain shop b4
"$POLLOAD" service weight pages b4 7
"$POLLOAD" endpoint del b4
is "what was said of an endpoint goes with it" "$before" "$(said)"
b2_as b5
is "who has its address next is not drained" "up 1" "$(backend b5 state) $(backend b5 weight pages)"
"$POLLOAD" service drain shop b5
"$POLLOAD" endpoint del b5
b2_as b2
"$POLLOAD" endpoint del b2
host_file b1 b2 b3 in >three.yaml
"$POLLOAD" apply shop.bpf.o -H three.yaml >/dev/null || not_ok "apply"
"$POLLOAD" service drain shop b2
"$POLLOAD" apply shop.bpf.o -H three.yaml >/dev/null || not_ok "apply"
is "an apply leaves it drained" drained "$(backend b2 state)"
before=$(said)
sed 's/name: b2/name: b6/' three.yaml >six.yaml
"$POLLOAD" apply shop.bpf.o -H six.yaml >/dev/null || not_ok "apply"
is "not so another one, whom a host file has at its address" "up $((before - 2))" "$(backend b6 state) $(said)"
"$POLLOAD" apply shop.bpf.o -H three.yaml >/dev/null || not_ok "apply"

# Full of what was said of services that are no more, it has room for what counts.
awk 'BEGIN {
	for (i = 0; i < 65535; i++) {
		printf "map update pinned %s/svc_state key hex 78", ENVIRON["POLC_BPFFS"]
		for (k = 0; k < 265; k++) printf " 0"
		printf " ff ff 0a 0 %x %x 0 1 0 0 0 0 0 0 value hex 0 0 0 0 1", int(i / 256), i % 256
		for (k = 0; k < 59; k++) printf " 0"
		print ""
	}
}' >fill
bpftool batch file fill >/dev/null 2>&1
is "svc_state is full" 65535 "$(said)"
run "$POLLOAD" service drain shop b2
is "one more is drained" "0 drained" "$code $(backend b2 state)" || echo "# $err"

run "$POLLOAD" status
is "status" 0 "$code"
"$POLLOAD" remove >/dev/null
is "remove leaves nothing" "" "$(tc filter show dev up0 egress; tc filter show dev up0 ingress; ip link show up0 | grep -o xdp; compgen -G "bpf/*polc*")"
finish
