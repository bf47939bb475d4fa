#!/bin/bash
# shellcheck source-path=SCRIPTDIR/../e2e
# SPDX-License-Identifier: GPL-2.0-only
# Requests through polproxy beside HAProxy, driven transparently with the same rules, and beside no
# proxy at all: interleaved rounds between two containers, medians.  Needs haproxy and wrk.
#
#	proxy.sh	as root; ROUNDS (5), SECONDS_EACH (2), RULES ("10 1000"), CONNECTIONS ("1 32"), IDLE (9000)
#
# The server is HAProxy too, in its own namespace, answering by itself.
: "${IDLE:=9000}" "${ROUNDS:=5}" "${SECONDS_EACH:=2}" "${RULES:=10 1000}" "${CONNECTIONS:=1 32}"
for tool in haproxy wrk nft; do
	command -v "$tool" >/dev/null || { echo "proxy.sh: needs $tool; left out"; exit 0; }
done
export ROUNDS SECONDS_EACH RULES CONNECTIONS IDLE
. "$(dirname "$0")/../e2e/lib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

host_up
container client 1 "app: client"
container server 2 "app: server"
host_file client server >host.yaml
echo "proxy: {workers: 2}" >>host.yaml
for d in all default v-client v-server; do echo 0 >/proc/sys/net/ipv4/conf/$d/rp_filter; done

cat >server.cfg <<END
global
    nbthread 2
    maxconn $((IDLE + 200))
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend f
    bind ${v4[server]}:80
    http-request return status 200 content-type text/plain string "ok"
END
spawn server haproxy -f server.cfg -db

rules() { # N: expressions; the last one is what is asked for
	local i
	for ((i = 1; i < $1; i++)); do echo "/api/v[0-9]+/r$i/[a-z]+/x$((i * 7919 % 1000))"; done
	echo "/hit/[0-9]+"
}

for n in $RULES; do
	{
		echo "default deny;"
		echo 'endpoint client = app == "client"; endpoint server = app == "server";'
		echo 'policy client { allow to server on tcp 80; }'
		echo 'policy server { allow from client on tcp 80 http {'
		rules "$n" | sed 's|.*|allow GET ~"&";|'
		echo '} }'
	} >"http$n.pol"
	"$POLC" "http$n.pol" -o "http$n.bpf.o" || bail "compile"
	{
		sed '/^frontend/,$d' server.cfg
		echo "frontend f"
		echo "    bind 127.0.0.1:15001 transparent"
		rules "$n" | sed 's|.*|    acl ok path -m reg ^&$|'
		echo "    http-request deny deny_status 403 unless METH_GET ok"
		echo "    default_backend b"
		echo "backend b"
		echo "    source 0.0.0.0 usesrc clientip"
		echo "    server s 0.0.0.0"
	} >"ha$n.cfg"
done
sed "/^policy server/,\$d" "http${RULES%% *}.pol" >plain.pol
echo 'policy server { allow from client on tcp 80; }' >>plain.pol
"$POLC" plain.pol -o plain.bpf.o || bail "compile"

ha_on() { # RULES
	nft -f - <<-END
	table ip bench {
		chain p {
			type filter hook prerouting priority mangle;
			iifname "v-client" tcp dport 80 tproxy to 127.0.0.1:15001 meta mark set 0x10000
			iifname "v-server" socket transparent 1 meta mark set 0x10000
		}
	}
	END
	ip rule add fwmark 0x10000/0x10000 lookup 77
	ip route add local default dev lo table 77
	haproxy -f "ha$1.cfg" -db >ha.out 2>&1 &
	ha=$!
	sleep 0.7
}
ha_off() {
	kill "$ha" 2>/dev/null
	wait "$ha" 2>/dev/null
	nft delete table ip bench
	ip rule del fwmark 0x10000/0x10000
	ip route flush table 77
}

cpu() { awk '/^cpu /{ print $2 + $3 + $4 + $7 + $8 }' /proc/stat; }

run() { # WHAT CONNECTIONS: a line "what connections requests/s p99-us cpu-us/request"
	local before after
	before=$(cpu)
	inside client wrk -t1 -c "$2" -d "${SECONDS_EACH}s" --latency "http://${v4[server]}/hit/7" >wrk.out 2>&1
	after=$(cpu)
	awk -v what="$1" -v c="$2" -v ticks=$((after - before)) '
		function us(t) { return t ~ /ms$/ ? t * 1000 : t ~ /us$/ ? t + 0 : t * 1000000 }
		/Requests\/sec/ { rate = $2 } /requests in/ { n = $1 } $1 == "99%" { p99 = us($2) }
		/Non-2xx/ { bad = 1 }
		END { print what, c, bad ? 0 : rate, p99, n ? ticks * 10000 / n : 0 }' wrk.out
}

for _ in $(seq "$ROUNDS"); do
	for c in $CONNECTIONS; do
		"$POLLOAD" apply plain.bpf.o -H host.yaml >/dev/null || bail "apply"
		run direct "$c"
		for n in $RULES; do
			"$POLLOAD" apply "http$n.bpf.o" >/dev/null || bail "apply"
			run "polproxy-$n" "$c"
			"$POLLOAD" remove >/dev/null
			ha_on "$n"
			run "haproxy-$n" "$c"
			ha_off
			"$POLLOAD" apply plain.bpf.o -H host.yaml >/dev/null || bail "apply"
		done
	done
done >samples
# Memory of the workers for connections that do nothing.
rss() { for p in $(pgrep -x polproxy); do awk '/^RssAnon/ { print $2 }' "/proc/$p/status"; done | awk '{ s += $1 } END { print s + 0 }'; }
"$POLLOAD" apply "http${RULES%% *}.bpf.o" >/dev/null || bail "apply"
before=$(rss)
spawn client "$HTTP" hold "${v4[server]}" 80 "$IDLE"
holder=$spawned
for _ in $(seq 100); do
	held=$(cat out.client.* 2>/dev/null | tail -1)
	[ -z "$held" ] || break
	sleep 0.2
done
after=$(rss)
kill "$holder"
"$POLLOAD" remove >/dev/null

echo "### Requests: polproxy beside HAProxy $(haproxy -v | sed -n '1s/.*version \([0-9.]*\).*/\1/p')"
echo
echo "Two containers, $(nproc) CPUs, medians of $ROUNDS interleaved rounds of $SECONDS_EACH s; CPU of the whole machine."
echo
echo "| rules | connections | who | requests/s | lowest-highest | p99 us | CPU us a request |"
echo "|---|---|---|---|---|---|---|"
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for who in direct $(for n in $RULES; do echo "polproxy-$n haproxy-$n"; done); do
	for c in $CONNECTIONS; do
		col() { awk -v w="$who" -v c="$c" -v k="$1" '$1 == w && $2 == c { print $k }' samples; }
		printf '| %s | %s | %s | %.0f | %.0f-%.0f | %.0f | %.1f |\n' "${who#*-}" "$c" "${who%-*}" \
			"$(col 3 | median)" "$(col 3 | sort -n | head -1)" "$(col 3 | sort -n | tail -1)" \
			"$(col 4 | median)" "$(col 5 | median)"
	done
done
echo
awk -v n="${held:-0}" -v kib=$((after - before)) 'BEGIN {
	printf "%d idle connections: %d KiB of the workers, %.0f bytes each, beside the kernel\x27s sockets.\n", n, kib, n ? kib * 1024 / n : 0 }'
