#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# Requests are judged one by one, on routed links, from a container and from outside, v4 and v6; the
# server sees the client; without the proxy nothing passes.
. "$(dirname "$0")/lib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy} POLC_PROXY_LOG=$work/access.log

host_up
container client 1 "app: client"
container other 3 "app: other"
container server 2 "app: server"
outside world
host_file client other server >host.yaml
echo 'proxy: {workers: 2, body_max: 3000000}' >>host.yaml
sed 's/^proxy: {/&timeout: {head: 1}, /' host.yaml >strict.yaml
for a in "${v4[server]}" "${v6[server]}"; do
	spawn server "$HTTP" serve "$a" 80 --record "$work/server.bytes"
done
for a in "${v4[world]}" "${v6[world]}"; do
	spawn world "$HTTP" serve "$a" 80
done
listening server tcp 80
listening world tcp 80

cat >web.pol <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint other = app == "other";
endpoint server = app == "server";
policy client {
    allow to server on tcp 80;
    allow to world on tcp 80 http { allow GET "/out/**"; }
}
policy other { allow to server on tcp 80; }
policy server {
    allow from client on tcp 80 http {
        allow GET, HEAD "/products/**";
        allow POST "/orders" where header "content-type" == "application/json";
        allow GET "/live" websocket;
        deny * "/products/secret";
    }
    allow from world on tcp 80 http { allow GET "/public"; }
    allow from other on tcp 80;
}
END
"$POLC" web.pol -o web.bpf.o || bail "compile"

# Status of one request; "none": no answer. HOW: curl's options.
status() { # FROM TO PATH [HOW...]
	local from=$1 to=$2 path=$3 a out=()
	shift 3
	for a in "${v4[$to]}" "[${v6[$to]}]"; do
		out+=("$(inside "$from" curl -s -o /dev/null -w '%{http_code}' -m 30 "$@" "http://$a$path" || true)")
	done
	echo "${out[*]}"
}

"$POLLOAD" apply web.bpf.o -H strict.yaml >out 2>&1 || bail "apply: $(cat out)"
is "a timeout of the host file" 408 \
	"$(printf 'GET /x HTTP/1.1\r\n' | inside client "$HTTP" ask "${v4[server]}" 80 --answers 1 --timeout 50 | sed -n '1s/^HTTP.1.1 \([0-9]*\).*/\1/p')"
for p in $(pgrep -x polproxy); do kill -KILL "$p"; done
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
is "status says that nothing is missing" 0 "$("$POLLOAD" status >status.txt 2>&1; echo $?)"
is "the proxy has started once more, without restartable sequences" 1 \
	"$(tr '\0' '\n' <"/proc/$(pgrep -xo polproxy)/environ" | grep -c '^GLIBC_TUNABLES=glibc.pthread.rseq=0$')"
is "an allowed path" "200 200" "$(status client server /products/7)"
truncate -s 3000001 large
is "body_max of the host file" "413 413" "$(status client server /orders -H 'Content-Type: application/json' --data-binary @large)"
is "another" "200 200" "$(status client server /products?x=1)"
is "HEAD is allowed" "200 200" "$(status client server /products/7 -I)"
is "a path that no line allows" "403 403" "$(status client server /admin)"
is "a method that no line allows" "403 403" "$(status client server /products/7 -X DELETE)"
is "a denied path inside of an allowed one" "403 403" "$(status client server /products/secret)"
is "a path that is not canonical" "400 400" "$(status client server /x/../products/7 --path-as-is)"
is "a header that a line asks for" "200 200" \
	"$(status client server /orders -d '{}' -H 'content-type: application/json')"
is "and without it" "403 403" "$(status client server /orders -d '{}' -H 'content-type: text/plain')"
is "a plain allow is not looked at" "200 200" "$(status other server /admin)"
is "from outside: allowed" "200 200" "$(status world server /public)"
is "from outside: denied" "403 403" "$(status world server /products/7)"
is "to outside: allowed" "200 200" "$(status client world /out/1)"
is "to outside: denied" "403 403" "$(status client world /in)"
for family in 4 6; do
	declare -n at=v$family
	a=${at[server]}
	[ $family = 4 ] || a="[$a]"
	is "the server sees the client (v$family)" "${at[client]}" \
		"$(inside client curl -s -m 30 "http://$a/products/1")"
	is "and the machine outside (v$family)" "${at[world]}" \
		"$(inside world curl -s -m 30 "http://$a/public")"
done
is "several requests of one connection are judged one by one" "200 403 200" \
	"$(inside client curl -s -m 30 -o /dev/null -o /dev/null -o /dev/null -w '%{http_code} ' \
		"http://${v4[server]}/products/1" "http://${v4[server]}/admin" \
		"http://${v4[server]}/products/2" | sed 's/ $//')"
# An uplink sees one direction alone: established is what is so to the stack.
established() {
	"$POLLOAD" flows --json |
		jq "[.[] | select((tostring | contains(\"${v4[world]}\")) and .state == \"established\")] | length >= 1"
}
{ printf 'GET /public HTTP/1.1\r\nHost: h\r\n\r\n'
  until [ -e looked ]; do sleep 0.05; done
  printf 'GET /public HTTP/1.1\r\nHost: h\r\n\r\n'; } |
	inside world "$HTTP" ask "${v4[server]}" 80 --answers 2 --timeout 50 >kept &
kept=$!
for _ in {1..600}; do
	[ "$(established)" != true ] || break
	sleep 0.05
done
is "a connection from outside is established" true "$(established)"
: >looked
wait $kept
is "and both its requests are answered" 2 "$(grep -c '^HTTP/1.1 200' kept)"
head -c 3000000 /dev/urandom >large
is "a large body arrives whole" "200" "$(inside client curl -s -m 30 -o /dev/null -w '%{http_code}' \
	-H 'content-type: application/json' --data-binary @large "http://${v4[server]}/orders")"
# shellcheck disable=SC2016
like "the log names who asked, and the line that decided" \
	'"source":{"address":"10.66.1.2"' "$(cat access.log)"
is "with file and line" "web.pol 16 deny" \
	"$(grep '"path":"/products/secret"' access.log | head -1 | jq -r '"\(.file) \(.line) \(.verdict)"')"

# The proxy dies.
before=$("$POLLOAD" status --json | jq '.drops.no_proxy.packets // 0')
worker=$(pgrep -P "$(pgrep -xo polproxy)" | head -1)
for p in $(pgrep -x polproxy); do kill -STOP "$p"; done
is "a proxy that does not answer lets nothing through" "000 000" "$(status client server /products/7 -m 1)"
for p in $(pgrep -x polproxy); do kill -KILL "$p"; done
[ -n "$worker" ] || not_ok "the proxy has workers"
is "without the proxy nothing passes" "000 000" "$(status client server /products/7 -m 1)"
is "what needs no proxy does" "200 200" "$(status other server /admin)"
after=$("$POLLOAD" status --json | jq '.drops.no_proxy.packets // 0')
[ "$after" -gt "$before" ]
is "and it is counted" 0 $?
is "status sees that it is missing" 1 "$("$POLLOAD" status >/dev/null 2>&1; echo $?)"
"$POLLOAD" proxy || not_ok "proxy starts it again"
is "started again it knows the policy" "200 403" \
	"$(inside client curl -s -o /dev/null -w '%{http_code}' -m 30 "http://${v4[server]}/products/7") $(
	   inside client curl -s -o /dev/null -w '%{http_code}' -m 30 "http://${v4[server]}/admin")"
# Its parent keeps the listeners, and starts the next one when the policy is known: who connects meanwhile
# waits for that, so the first attempt is the one that is answered.  The younger they die the later it is.
for _ in 1 2 3; do
	for worker in $(pgrep -P "$(pgrep -xo polproxy)"); do kill -KILL "$worker"; done
	began=$(date +%s%N)
	got=$(status client server /products/7)
	is "workers that die are there again for the next connection ($((($(date +%s%N) - began) / 1000000)) ms)" "200 200" "$got"
done

# A firewall that does not leave the marks alone breaks things, and opens nothing (polload(8), MARKS).
nft -f - <<END || bail "nft"
table inet t {
	chain pre {
		type filter hook prerouting priority -300;
		iifname { "v-client", "v-other" } meta mark set 1;
	}
}
END
: >server.bytes
is "who overwrites the mark keeps requests from the proxy, and from the server" "000 000" "$(status client server /admin -m 1)"
is "which hears nothing of them" "" "$(cat server.bytes)"
is "what needs no proxy is judged a second time" "200 200" "$(status other server /admin)"
nft delete table inet t
is "and all is as before without it" "200 200" "$(status client server /products/7)"

# A bridge forwards past the stack.
ip link add br0 type bridge
ip link set br0 up
ip link set v-server master br0
{ sed 's/name: server,/&  mac: '"$(inside server ip -br link show eth0 | awk '{ print $3 }')"',/' host.yaml; } >bridged.yaml
said=$("$POLLOAD" apply web.bpf.o -H bridged.yaml 2>&1)
is "apply refuses HTTP rules for an endpoint on a bridge" 2 $?
like "and names it" "endpoint 'server': HTTP rules hold for it" "$said"
ip link set v-server nomaster
is "and the policy in force stays" "200 200" "$(status client server /products/7)"

way() { # TABLE PRIORITY: is the way to the proxy there?
	echo "$(ip rule | grep -c "^$2:.*lookup $1") $(ip -6 rule | grep -c "^$2:.*lookup $1") $(
		ip route show table "$1" 2>/dev/null | wc -l) $(ip -6 route show table "$1" 2>/dev/null | wc -l)"
}
# The table and the priority of the way to the proxy are others' too.
ip route add 198.51.100.0/24 dev up0 table 3000
ip -6 rule add from 2001:db8:77::/64 lookup main priority 77
sed 's/^proxy:.*/proxy: {table: 3000}/' host.yaml >way.yaml
said=$("$POLLOAD" apply web.bpf.o -H way.yaml 2>&1)
is "apply refuses a table with routes of somebody else" 3 $?
like "and names it" "routing table 3000, meant for the way to the proxy, has routes of somebody else" "$said"
sed -i 's/table: 3000/table: 3001, priority: 77/' way.yaml
said=$("$POLLOAD" apply web.bpf.o -H way.yaml 2>&1)
is "and a priority" 3 $?
like "and names it" "priority 77 of 'ip -6 rule', meant for the way to the proxy, is somebody else's" "$said"
is "and the policy in force stays" "200 200" "$(status client server /products/7)"
sed -i 's/priority: 77/priority: 78/' way.yaml
"$POLLOAD" apply web.bpf.o -H way.yaml >out 2>&1 || not_ok "apply with another way" "$(cat out)"
is "another way is taken" "1 1 1 1" "$(way 3001 78)"
is "instead of the usual one" "0 0 0 0" "$(way 2004 9)"
is "and leads there" "200 403" "$(status client server /products/7 | cut -d' ' -f1) $(status client server /admin | cut -d' ' -f1)"
ip rule del priority 78
like "status sees that it is gone" "has no rule and route to it" "$(ip -6 rule del priority 78; "$POLLOAD" status)"
"$POLLOAD" apply web.bpf.o >/dev/null || not_ok "apply"
"$POLLOAD" remove >/dev/null || not_ok "remove"
is "remove takes the rule and the route away" "0 0 0 0" "$(way 2004 9)"
for _ in {1..300}; do pgrep -x polproxy >/dev/null || break; sleep 0.1; done
is "and the proxy ends" "" "$(pgrep -x polproxy)"
finish
