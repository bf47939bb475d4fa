#!/bin/bash
# shellcheck source-path=SCRIPTDIR/../e2e
# SPDX-License-Identifier: GPL-2.0-only
# Requests and downloads through polproxy beside HAProxy, driven transparently with the same rules,
# and beside no proxy at all: interleaved rounds between two containers, medians.  Needs haproxy.
#
#	proxy.sh	as root; ROUNDS (5), SECONDS_EACH (1), RULES ("10 100 1000"), CONNECTIONS ("1 32"),
#			PLACES ("free apart one"), DOWNLOAD (536870912 bytes), IDLE (10000), IDLE2 (200)
#
# Over HTTP/1 client and server are tests/tools/httpload, one process each, which do as little as they can; over
# HTTP/2 they are h2load and nghttpd.  Where processes run decides much of what a machine of few CPUs shows:
#	free	wherever the kernel puts them; a worker or thread for each CPU
#	apart	the proxy alone on one CPU, client and server on another; one worker, one thread
#	one	all on one CPU: no CPU waits, each microsecond of work counts; one worker, one thread
# CPU is the proxy's own (its processes' time on a CPU): the steadier figure on a machine that others use
# too.  Both proxies are children of this script: what is started by polload apply has a session of its own, and
# the scheduler's groups of sessions would share the CPUs out differently for each.
: "${IDLE:=10000}" "${IDLE2:=200}" "${ROUNDS:=5}" "${SECONDS_EACH:=1}" "${RULES:=10 100 1000}" "${CONNECTIONS:=1 32}"
: "${DOWNLOAD:=536870912}" "${PLACES:=free apart one}"
[ "$(nproc)" -gt 1 ] || PLACES=one
for tool in haproxy nft; do
	command -v "$tool" >/dev/null || { echo "proxy.sh: needs $tool; left out"; exit 0; }
done
export ROUNDS SECONDS_EACH RULES CONNECTIONS PLACES IDLE IDLE2 DOWNLOAD
. "$(dirname "$0")/../e2e/lib.sh"
LOAD=${LOAD:-$e2e_build/tests/tools/httpload} HTTP=${HTTP:-$e2e_build/tests/tools/http}
H2=${H2:-$e2e_build/tests/tools/h2}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy} POLC_PROXY_SOCKET=$work/proxy.sock
h2=
command -v h2load >/dev/null && command -v nghttpd >/dev/null && h2=1

host_up
container client 1 "app: client"
container server 2 "app: server"
container second 3 "app: client"
container third 4 "app: client"
host_file client server second third >host.yaml
for d in all default v-client v-server; do echo 0 >/proc/sys/net/ipv4/conf/$d/rp_filter; done
a=${v4[server]}
spawn server "$LOAD" serve "$a" 80
servers=("$spawned")
if [ -n "$h2" ]; then
	mkdir -p root/hit
	printf ok >root/hit/7
	spawn server nghttpd --no-tls -d root -a "$a" 81
	servers+=("$spawned")
fi

# ---- policies and configurations ---------------------------------------------------------

rules() { # N: expressions; the last one is what is asked for
	local i
	for ((i = 1; i < $1; i++)); do echo "/api/v[0-9]+/r$i/[a-z]+/x$((i * 7919 % 1000))"; done
	echo "/(hit|bytes)/[0-9]+"
}

for n in $RULES; do
	{
		echo "default deny;"
		echo 'endpoint client = app == "client"; endpoint server = app == "server";'
		echo 'policy client { allow to server on tcp 80, 81; }'
		echo 'policy server { allow from client on tcp 80, 81 http {'
		rules "$n" | sed 's|.*|allow GET ~"&";|'
		echo '} }'
	} >"http$n.pol"
	"$POLC" "http$n.pol" -o "http$n.bpf.o" || bail "compile"
	# Each client keeps a server connection of its own: without `never` HAProxy, driven so, may close it after each answer.
	cat >"ha$n.cfg" <<-END
	global
	    maxconn 2000
	defaults
	    mode http
	    option splice-auto
	    http-reuse never
	    timeout client 60s
	    timeout server 60s
	    timeout connect 5s
	$(for v in 1 2; do
		echo "frontend f$v"
		echo "    bind 127.0.0.1:1500$v transparent $([ $v = 1 ] || echo proto h2)"
		rules "$n" | sed 's|.*|    acl ok path -m reg ^&$|'
		echo "    http-request deny deny_status 403 unless METH_GET ok"
		echo "    default_backend b$v"
		echo "backend b$v"
		echo "    source 0.0.0.0 usesrc clientip"
		echo "    server s 0.0.0.0 $([ $v = 1 ] || echo proto h2)"
	done)
	END
done
first=${RULES%% *}
sed "/^policy server/,\$d" "http$first.pol" >plain.pol
echo 'policy server { allow from client on tcp 80, 81; }' >>plain.pol
"$POLC" plain.pol -o plain.bpf.o || bail "compile"

# ---- the contenders ---------------------------------------------------------------------------

proxy=() load=() workers=1 # how each is started: where, and with how many workers or threads
place() { # free | apart | one
	local all others
	all=0-$(($(nproc) - 1)) others=$all
	proxy=() load=() workers=1
	case $1 in
	free) workers=$(nproc) ;;
	apart) proxy=(taskset -c 0) load=(taskset -c 1) others=1 ;;
	one) proxy=(taskset -c 0) load=(taskset -c 0) others=0 ;;
	esac
	for p in "${servers[@]}"; do taskset -apc "$others" "$p" >/dev/null; done
}

direct_on() { "$POLLOAD" apply plain.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"; }
direct_off() { :; }

polproxy_on() { # RULES
	"${proxy[@]}" "$POLPROXY" --control "$POLC_PROXY_SOCKET" --workers "$workers" 2>proxy.err &
	running=$!
	for _ in {1..100}; do [ -S "$POLC_PROXY_SOCKET" ] && break; sleep 0.05; done
	"$POLLOAD" apply "http$1.bpf.o" -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
}
polproxy_off() {
	"$POLLOAD" remove >/dev/null
	wait "$running"
}

haproxy_on() { # RULES
	nft -f - <<-END
	table ip bench {
		chain p {
			type filter hook prerouting priority mangle;
			iifname "v-client" tcp dport 80 tproxy to 127.0.0.1:15001 meta mark set 0x10000
			iifname "v-client" tcp dport 81 tproxy to 127.0.0.1:15002 meta mark set 0x10000
			iifname "v-server" socket transparent 1 meta mark set 0x10000
		}
	}
	END
	ip rule add fwmark 0x10000/0x10000 lookup 77
	ip route add local default dev lo table 77
	sed "s/^global/&\n    nbthread $workers/" "ha$1.cfg" >ha.cfg
	"${proxy[@]}" haproxy -f ha.cfg -db >ha.out 2>&1 &
	running=$!
	for _ in {1..100}; do ss -Hltn 'sport = :15002' | grep -q . && break; sleep 0.05; done
}
haproxy_off() {
	kill "$running" 2>/dev/null
	wait "$running" 2>/dev/null
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

# A line "what connections requests/s p50 p99 cpu-ns/request", microseconds; 0 requests/s: not all were 200.
run() { # WHAT CONNECTIONS
	local before after
	before=$(cpu)
	inside client "${load[@]}" "$LOAD" load "$a" 80 /hit/7 "$2" "${SECONDS_EACH}000" >load.out || return
	after=$(cpu)
	awk -v what="$1" -v c="$2" -v ns=$((after - before)) '
		{ print what, c, $7 ? 0 : $2, $3, $5, $1 ? ns / $1 : 0 }' load.out >>samples
}
run2() { # WHAT CONNECTIONS: over HTTP/2; h2load knows no percentiles, its mean stands for p50
	local before after
	before=$(cpu)
	inside client "${load[@]}" h2load -p h2c -D "$SECONDS_EACH" -c "$2" -m 1 "http://$a:81/hit/7" >load.out 2>&1 || return
	after=$(cpu)
	awk -v what="$1" -v c="$2" -v ns=$((after - before)) '
		/^finished in/ { rate = $4 }
		/^status codes:/ { good = $3; bad = $5 + $7 + $9 }
		/^time for request:/ { mean = $6 + 0; if ($6 ~ /ms$/) mean *= 1000; else if ($6 !~ /us$/) mean *= 1000000 }
		END { print what, c, bad ? 0 : rate, mean, 0, good ? ns / good : 0 }' load.out >>samples
}
download() { # WHAT: a line "what Gbit/s cpu-seconds"
	local before after
	before=$(cpu)
	inside client "$LOAD" get "$a" 80 "/bytes/$DOWNLOAD" >get.out || return
	after=$(cpu)
	awk -v what="$1" -v want="$DOWNLOAD" -v ns=$((after - before)) '
		{ print what, ($1 > want ? want * 8 / $2 / 1e9 : 0), ns / 1e9 }' get.out >>downloads
}

: >samples
: >downloads
each() { # PLACE: of all contenders
	local who n c
	for c in $CONNECTIONS; do
		direct_on
		run "direct/-/$1" "$c"
		[ -z "$h2" ] || run2 "direct2/-/$1" "$c"
	done
	[ "$1" != free ] || download direct
	"$POLLOAD" remove >/dev/null
	for n in $RULES; do
		for who in polproxy haproxy; do
			# from new: neither has to live with what the run before has left
			for c in $CONNECTIONS; do
				"${who}_on" "$n"
				run "$who/$n/$1" "$c"
				"${who}_off"
			done
			[ "$n" = "$first" ] || continue
			for c in $CONNECTIONS; do
				[ -n "$h2" ] || continue
				"${who}_on" "$n"
				run2 "${who}2/$n/$1" "$c"
				"${who}_off"
			done
			[ "$1" = free ] || continue
			"${who}_on" "$n"
			download "$who"
			"${who}_off"
		done
	done
}
for _ in $(seq "$ROUNDS"); do
	for at in $PLACES; do
		place "$at"
		each "$at"
	done
done
place free

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] + 0 }'; }
echo "### Requests: polproxy beside HAProxy $(haproxy -v | sed -n '1s/.*version \([0-9.]*\).*/\1/p')"
echo
echo "Two containers, $(nproc) CPUs, medians of $ROUNDS interleaved rounds of $SECONDS_EACH s.  Placed: free (as the kernel likes), apart"
echo "(the proxy alone on a CPU, client and server on another), one (all on one CPU).  Times: the median of the rounds' quotients."
columns='| placed | rules | connections | polproxy requests/s | HAProxy | direct | times HAProxy | p50 us: polproxy, HAProxy, direct | p99 us | CPU us a request | its CPU by ours |'
col() { awk -v w="$1" -v c="$2" -v k="$3" '$1 == w && $2 == c { print $k }' samples; } # WHO CONNECTIONS COLUMN
quotient() { # WHO WHO CONNECTIONS COLUMN: of the first by the second
	paste <(col "$1" "$3" "$4") <(col "$2" "$3" "$4") | awk '$1 && $2 { print $1 / $2 }' | median
}
table() { # 2, over HTTP/2; RULES...
	local v=$1 at n c p h d
	shift
	echo
	echo "$columns"
	echo "|---|---|---|---|---|---|---|---|---|---|---|"
	for at in $PLACES; do
		for n; do
			for c in $CONNECTIONS; do
				p=polproxy$v/$n/$at h=haproxy$v/$n/$at d=direct$v/-/$at
				printf '| %s | %s | %s | %.0f | %.0f | %.0f | %.2f | %.0f, %.0f, %.0f | %.0f, %.0f, %.0f | %.1f, %.1f | %.2f |\n' "$at" "$n" "$c" \
					"$(col "$p" "$c" 3 | median)" "$(col "$h" "$c" 3 | median)" "$(col "$d" "$c" 3 | median)" \
					"$(quotient "$p" "$h" "$c" 3)" \
					"$(col "$p" "$c" 4 | median)" "$(col "$h" "$c" 4 | median)" "$(col "$d" "$c" 4 | median)" \
					"$(col "$p" "$c" 5 | median)" "$(col "$h" "$c" 5 | median)" "$(col "$d" "$c" 5 | median)" \
					"$(col "$p" "$c" 6 | awk '{ print $1 / 1000 }' | median)" "$(col "$h" "$c" 6 | awk '{ print $1 / 1000 }' | median)" \
					"$(quotient "$h" "$p" "$c" 6)"
			done
		done
	done
}
# shellcheck disable=SC2086
table "" $RULES
if [ -n "$h2" ]; then
	echo
	echo "HTTP/2 (h2load and nghttpd, a stream at a time on each connection; the mean stands for p50, p99 is not known):"
	table 2 "$first"
fi
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
polproxy_on "$first"
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

if [ -n "$h2" ]; then
	# what is only the workers': libnghttp2's memory is not all in the heap
	kib() { for p in $(pgrep -P "$running"); do awk '/^Private_(Clean|Dirty)/ { print $2 }' "/proc/$p/smaps_rollup"; done | awk '{ s += $1 } END { print s }'; }
	allowed() { "$POLLOAD" status --json | jq .proxy.allowed; }
	printf 'request 1 GET /hit/7 end\nwait 1\nsleep 600000\n' >idle.frames
	before=$(kib) want=$(($(allowed) + IDLE2))
	holders=()
	for _ in $(seq "$IDLE2"); do
		nsenter --net="/run/netns/$test_name-client" "$H2" ask "$a" 81 <idle.frames >/dev/null 2>&1 &
		holders+=("$!")
	done
	for _ in {1..300}; do [ "$(allowed)" -lt "$want" ] || break; sleep 0.1; done
	sleep 1
	echo
	awk -v n="$IDLE2" -v kib=$(($(kib) - before)) 'BEGIN {
		printf "%d idle connections of HTTP/2 that have asked once: %.1f KiB of the workers each.\n", n, kib / n }'
	kill "${holders[@]}"
	wait "${holders[@]}" 2>/dev/null
fi

echo
echo "Four connections of one client beside clients of another container: 2,000 requests a second are offered, and as"
echo "many as it can ask (client and server share the CPUs with those who disturb):"
echo
echo "| beside | answered of 2,000/s | p50 us | p99 us | requests/s | p50 us | p99 us |"
echo "|---|---|---|---|---|---|---|"
disturb() { # WHAT COMMAND...
	local what=$1 pid=
	shift
	[ $# = 0 ] || { spawn second "$@"; pid=$spawned; sleep 1; }
	paced=$(inside client "$LOAD" pace "$a" 80 /hit/7 4 2000 "${SECONDS_EACH}000")
	echo "$paced $(inside client "$LOAD" load "$a" 80 /hit/7 4 "${SECONDS_EACH}000")" |
		awk -v what="$what" '{ printf "| %s | %.1f %% | %d | %d | %.0f | %d | %d |\n", what, 100 * $2 / $1, $3, $4, $7, $8, $10 }'
	[ -z "$pid" ] || kill "$pid"
}
disturb "nobody"
disturb "1,000 that never end their head" "$LOAD" open "$a" 80 1000 'GET /hit/7 HTT'
disturb "1,000 that say nothing" "$LOAD" open "$a" 80 1000
disturb "20 that do not read 512 MiB" "$LOAD" stall "$a" 80 /bytes/536870912 20
disturb "one that connects and resets, endlessly" "$LOAD" storm "$a" 80 600000
disturb "32 that ask all the time" "$LOAD" load "$a" 80 /hit/7 32 600000
polproxy_off
