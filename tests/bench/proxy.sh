#!/bin/bash
# shellcheck source-path=SCRIPTDIR/../e2e
# SPDX-License-Identifier: GPL-2.0-only
# Requests and downloads through polproxy beside HAProxy, driven transparently with the same rules,
# and beside no proxy at all: interleaved rounds between two containers, medians.  Needs haproxy.
#
#	proxy.sh	as root; ROUNDS (5), SECONDS_EACH (2), RULES ("10 100 1000"), CONNECTIONS ("1 32"),
#			DOWNLOAD (536870912 bytes), IDLE (10000), WORKERS (2)
#
# Client and server are tests/tools/httpload, one process each, which do as little as they can.  CPU is
# the proxy's own (its processes' time on a CPU): the steadier figure on a machine that others use too.
: "${IDLE:=10000}" "${ROUNDS:=5}" "${SECONDS_EACH:=2}" "${RULES:=10 100 1000}" "${CONNECTIONS:=1 32}"
: "${DOWNLOAD:=536870912}" "${WORKERS:=2}"
for tool in haproxy nft; do
	command -v "$tool" >/dev/null || { echo "proxy.sh: needs $tool; left out"; exit 0; }
done
export ROUNDS SECONDS_EACH RULES CONNECTIONS IDLE DOWNLOAD WORKERS
. "$(dirname "$0")/../e2e/lib.sh"
LOAD=${LOAD:-$e2e_build/tests/tools/httpload} HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

host_up
container client 1 "app: client"
container server 2 "app: server"
container second 3 "app: client"
container third 4 "app: client"
host_file client server second third >host.yaml
echo "proxy: {workers: $WORKERS}" >>host.yaml
for d in all default v-client v-server; do echo 0 >/proc/sys/net/ipv4/conf/$d/rp_filter; done
a=${v4[server]}
spawn server "$LOAD" serve "$a" 80

rules() { # N: expressions; the last one is what is asked for
	local i
	for ((i = 1; i < $1; i++)); do echo "/api/v[0-9]+/r$i/[a-z]+/x$((i * 7919 % 1000))"; done
	echo "/(hit|bytes)/[0-9]+"
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
	cat >"ha$n.cfg" <<-END
	global
	    nbthread $WORKERS
	    maxconn 2000
	defaults
	    mode http
	    option splice-auto
	    timeout client 60s
	    timeout server 60s
	    timeout connect 5s
	frontend f
	    bind 127.0.0.1:15001 transparent
	$(rules "$n" | sed 's|.*|    acl ok path -m reg ^&$|')
	    http-request deny deny_status 403 unless METH_GET ok
	    default_backend b
	backend b
	    source 0.0.0.0 usesrc clientip
	    server s 0.0.0.0
	END
done
first=${RULES%% *}
sed "/^policy server/,\$d" "http$first.pol" >plain.pol
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
	for _ in {1..100}; do ss -Hltn 'sport = :15001' | grep -q . && break; sleep 0.05; done
}
ha_off() {
	kill "$ha" 2>/dev/null
	wait "$ha" 2>/dev/null
	nft delete table ip bench
	ip rule del fwmark 0x10000/0x10000
	ip route flush table 77
}

# Nanoseconds that all threads of the proxy have run.
cpu() {
	local p
	for p in $(pgrep -x polproxy; pgrep -x haproxy); do cat "/proc/$p"/task/*/schedstat 2>/dev/null; done |
		awk '{ s += $1 } END { printf "%.0f\n", s }'
}

run() { # WHAT CONNECTIONS: a line "what connections requests/s p50 p99 cpu-ns/request"
	local before after
	before=$(cpu)
	inside client "$LOAD" load "$a" 80 /hit/7 "$2" "${SECONDS_EACH}000" >load.out || return
	after=$(cpu)
	awk -v what="$1" -v c="$2" -v ns=$((after - before)) '
		{ print what, c, $7 ? 0 : $2, $3, $5, $1 ? ns / $1 : 0 }' load.out >>samples
}
download() { # WHAT: a line "what Gbit/s cpu-seconds"
	local before after
	before=$(cpu)
	inside client "$LOAD" get "$a" 80 "/bytes/$DOWNLOAD" >get.out
	after=$(cpu)
	awk -v what="$1" -v want="$DOWNLOAD" -v ns=$((after - before)) '
		{ print what, ($1 > want ? want * 8 / $2 / 1e9 : 0), ns / 1e9 }' get.out >>downloads
}

: >samples
: >downloads
for _ in $(seq "$ROUNDS"); do
	"$POLLOAD" apply plain.bpf.o -H host.yaml >/dev/null || bail "apply"
	for c in $CONNECTIONS; do run direct "$c"; done
	download direct
	for n in $RULES; do
		"$POLLOAD" apply "http$n.bpf.o" -H host.yaml >/dev/null || bail "apply"
		for c in $CONNECTIONS; do run "polproxy-$n" "$c"; done
		[ "$n" != "$first" ] || download polproxy
		"$POLLOAD" remove >/dev/null
		for _ in {1..100}; do pgrep -x polproxy >/dev/null || break; sleep 0.05; done
		ha_on "$n"
		for c in $CONNECTIONS; do run "haproxy-$n" "$c"; done
		[ "$n" != "$first" ] || download haproxy
		ha_off
	done
done

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] + 0 }'; }
echo "### Requests: polproxy beside HAProxy $(haproxy -v | sed -n '1s/.*version \([0-9.]*\).*/\1/p')"
echo
echo "Two containers, $(nproc) CPUs, $WORKERS workers or threads, medians of $ROUNDS interleaved rounds of $SECONDS_EACH s."
echo
echo "| rules | connections | who | requests/s | lowest-highest | p50 us | p99 us | proxy's CPU us a request |"
echo "|---|---|---|---|---|---|---|---|"
for who in direct $(for n in $RULES; do echo "polproxy-$n haproxy-$n"; done); do
	for c in $CONNECTIONS; do
		col() { awk -v w="$who" -v c="$c" -v k="$1" '$1 == w && $2 == c { print $k }' samples; }
		printf '| %s | %s | %s | %.0f | %.0f-%.0f | %.0f | %.0f | %.1f |\n' "$([ "$who" = direct ] && echo - || echo "${who#*-}")" "$c" "${who%-*}" \
			"$(col 3 | median)" "$(col 3 | sort -n | head -1)" "$(col 3 | sort -n | tail -1)" \
			"$(col 4 | median)" "$(col 5 | median)" "$(col 6 | awk '{ print $1 / 1000 }' | median)"
	done
done
echo
echo "Times HAProxy's, median of the rounds' quotients:"
echo
echo "| rules | connections | requests/s | its CPU by ours |"
echo "|---|---|---|---|"
for n in $RULES; do
	for c in $CONNECTIONS; do
		quotient() { # COLUMN UPSIDE-DOWN
			paste <(awk -v w="polproxy-$n" -v c="$c" -v k="$1" '$1 == w && $2 == c { print $k }' samples) \
				<(awk -v w="haproxy-$n" -v c="$c" -v k="$1" '$1 == w && $2 == c { print $k }' samples) |
				awk -v down="$2" '$1 && $2 { print down ? $2 / $1 : $1 / $2 }' | median
		}
		printf '| %s | %s | %.2f | %.2f |\n' "$n" "$c" "$(quotient 3 0)" "$(quotient 6 1)"
	done
done
echo
echo "$((DOWNLOAD / 1048576)) MiB, the client discards what it gets (HAProxy with splice-auto):"
echo
echo "| who | Gbit/s | lowest-highest | proxy's CPU s |"
echo "|---|---|---|---|"
for who in direct polproxy haproxy; do
	col() { awk -v w="$who" -v k="$1" '$1 == w { print $k }' downloads; }
	printf '| %s | %.1f | %.1f-%.1f | %.3f |\n' "$who" "$(col 2 | median)" "$(col 2 | sort -n | head -1)" \
		"$(col 2 | sort -n | tail -1)" "$(col 3 | median)"
done

# ---- those that do nothing, and those that disturb ---------------------------------------------

rss() { for p in $(pgrep -x polproxy); do awk '/^RssAnon/ { print $2 }' "/proc/$p/status"; done | awk '{ s += $1 } END { print s + 0 }'; }
# What the kernel holds for established TCP connections of this host: the slabs of their sockets.
sockets() { awk '/^(TCP|TCPv6|sock_inode_cache|filp|request_sock_TCP|tw_sock_TCP) / { s += $2 * $4 } END { print int(s / 1024) }' /proc/slabinfo; }
"$POLLOAD" apply "http$first.bpf.o" -H host.yaml >/dev/null || bail "apply"
before=$(rss) kernel=$(sockets)
holders=()
for who in client second third; do
	spawn "$who" "$HTTP" hold "$a" 80 $((IDLE / 3 + 1))
	holders+=("$spawned")
done
for _ in $(seq 600); do
	held=$(cat out.client.* out.second.* out.third.* 2>/dev/null | awk '{ s += $1; n++ } END { print n == 3 ? s : "" }')
	[ -z "$held" ] || break
	sleep 0.1
done
after=$(rss) kernel=$(($(sockets) - kernel))
echo
awk -v n="${held:-0}" -v kib=$((after - before)) -v k="$kernel" 'BEGIN {
	printf "%d idle connections that have asked once: %d KiB of the workers, %.0f bytes each; slabs of sockets and files grew by %d KiB, %.0f bytes each (both halves, and client and server, which share the kernel).\n",
		n, kib, n ? kib * 1024 / n : 0, k, n ? k * 1024 / n : 0 }'
kill "${holders[@]}"
for _ in {1..100}; do [ "$("$POLLOAD" status --json | jq .proxy.open)" -gt 100 ] || break; sleep 0.1; done

echo
echo "Four connections of one client beside clients of another container:"
echo
echo "| beside | requests/s | p50 us | p99 us |"
echo "|---|---|---|---|"
disturb() { # WHAT COMMAND...
	local what=$1 pid=
	shift
	[ $# = 0 ] || { spawn second "$@"; pid=$spawned; sleep 1; }
	inside client "$LOAD" load "$a" 80 /hit/7 4 "${SECONDS_EACH}000" |
		awk -v what="$what" '{ printf "| %s | %.0f | %.0f | %.0f |\n", what, $2, $3, $5 }'
	[ -z "$pid" ] || kill "$pid"
}
disturb "nobody"
disturb "1,000 that never end their head" "$LOAD" open "$a" 80 1000 'GET /hit/7 HTT'
disturb "1,000 that say nothing" "$LOAD" open "$a" 80 1000
disturb "20 that do not read 512 MiB" "$LOAD" stall "$a" 80 /bytes/536870912 20
disturb "one that connects and resets, endlessly" "$LOAD" storm "$a" 80 600000
disturb "32 that ask all the time" "$LOAD" load "$a" 80 /hit/7 32 600000
"$POLLOAD" remove >/dev/null
