#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# Requests and downloads through polproxy beside HAProxy, driven transparently with the same rules,
# and beside no proxy at all (direct): interleaved rounds between two containers. Needs haproxy.
# Experiments: proxy, download, idle (memory of connections that do nothing), disturb.
#
#	proxy.sh	as root; SECONDS_EACH, RULES, CONNECTIONS, PLACES ("free apart one"),
#			DOWNLOAD (536870912 bytes), IDLE (10000), IDLE2 (200), and as lib.sh says
#
# Over HTTP/1 client and server are tests/tools/httpload, one process each, which do as little as they can; over
# HTTP/2 they are h2load and nghttpd (a stream at a time; the mean stands for p50).  Where processes run decides much of
# what a machine of few CPUs shows:
#	free	wherever the kernel puts them; a worker or thread for each CPU
#	apart	the proxy alone on one CPU, client and server on another; one worker, one thread
#	one	all on one CPU: no CPU waits, each microsecond of work counts; one worker, one thread
# CPU is the proxy's own (its processes' time on a CPU): the steadier figure on a machine that others use
# too.  Both proxies are children of this script: what is started by polload apply has a session of its own, and
# the scheduler's groups of sessions would share the CPUs out differently for each.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
: "${IDLE:=$(quick 10000 1000)}" "${IDLE2:=$(quick 200 50)}" "${SECONDS_EACH:=$(quick 0.7 0.3)}"
: "${RULES:=$(quick "10 100 1000" "10 1000")}" "${CONNECTIONS:=1 32}"
: "${DOWNLOAD:=$(quick 536870912 134217728)}" "${PLACES:=$(quick "free apart one" "one")}"
ms=$(awk -v s="$SECONDS_EACH" 'BEGIN { print int(s * 1000) }')
[ "$(nproc)" -gt 1 ] || PLACES=one
ulimit -n 100000 2>/dev/null
maxconn=$((($(ulimit -n) - 200) * 2 / 5)) # two sockets and half a pipe each; HAProxy refuses to start with more
for tool in haproxy nft; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done
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
	    maxconn $maxconn
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
	for _ in {1..100}; do ss -Hltn 'sport = :15002' | grep -q . && return; sleep 0.05; done
	bail "HAProxy does not begin: $(tail -n 1 ha.out)" # without it all would go past it, unhindered
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

told() { # CASE WHO ROUND <"rate p50 p99 cpu", nothing if it failed
	local rate p50 p99 cpu
	read -r rate p50 p99 cpu || { echo "note: $2, $1: not all were answered with 200" >&2; return; }
	sample proxy "$1" "$2" requests 1/s "$3" "$rate"
	sample proxy "$1" "$2" p50 us "$3" "$p50"
	[ "$p99" = - ] || sample proxy "$1" "$2" p99 us "$3" "$p99"
	[ "$2" = direct ] || sample proxy "$1" "$2" cpu us "$3" "$cpu"
}
run1() { # CONNECTIONS
	local before after
	before=$(cpu)
	inside client "${load[@]}" "$LOAD" load "$a" 80 /hit/7 "$1" "$ms" >load.out || return
	after=$(cpu)
	awk -v ns=$((after - before)) '!$7 && $1 { print $2, $3, $5, ns / $1 / 1000 }' load.out
}
run2() { # CONNECTIONS
	local before after
	before=$(cpu)
	inside client "${load[@]}" h2load -p h2c -D "${ms}ms" -c "$1" -m 1 "http://$a:81/hit/7" >load.out 2>&1 || return
	after=$(cpu)
	awk -v ns=$((after - before)) '
		/^finished in/ { rate = $4 }
		/^status codes:/ { good = $3; bad = $5 + $7 + $9 }
		/^time for request:/ { mean = $6 + 0; if ($6 ~ /ms$/) mean *= 1000; else if ($6 !~ /us$/) mean *= 1000000 }
		END { if (good && !bad) print rate, mean, "-", ns / good / 1000 }' load.out
}
download() { # WHO ROUND
	local before after
	before=$(cpu)
	inside client "$LOAD" get "$a" 80 "/bytes/$DOWNLOAD" >get.out || return
	after=$(cpu)
	sample download "bytes=$DOWNLOAD" "$1" rate Gbit/s "$2" "$(awk -v want="$DOWNLOAD" '$1 > want { print want * 8 / $2 / 1e9 }' get.out)"
	[ "$1" = direct ] || sample download "bytes=$DOWNLOAD" "$1" cpu s "$2" "$(awk -v ns=$((after - before)) 'BEGIN { print ns / 1e9 }')"
}

each() { # ROUND PLACE: of all contenders
	local who n c v said
	direct_on
	for c in $CONNECTIONS; do
		for v in 1 ${h2:+2}; do
			said=$("run$v" "$c")
			# beside every number of rules: it knows none
			for n in $RULES; do
				[ "$v" = 1 ] || [ "$n" = "$first" ] || continue
				told "http=$v place=$2 rules=$n connections=$c" direct "$1" <<<"$said"
			done
		done
	done
	[ "$2" != free ] || download direct "$1"
	"$POLLOAD" remove >/dev/null
	for n in $RULES; do
		for who in polproxy haproxy; do
			# from new: neither has to live with what the run before has left
			for v in 1 ${h2:+2}; do
				[ "$v" = 1 ] || [ "$n" = "$first" ] || continue
				for c in $CONNECTIONS; do
					"${who}_on" "$n"
					said=$("run$v" "$c")
					told "http=$v place=$2 rules=$n connections=$c" "$who" "$1" <<<"$said"
					"${who}_off"
				done
			done
			[ "$n/$2" = "$first/free" ] || continue
			"${who}_on" "$n"
			download "$who" "$1"
			"${who}_off"
		done
	done
}
for ((round = 1; round <= $(rounds 5 1); round++)); do
	for at in $PLACES; do
		place "$at"
		each "$round" "$at"
	done
done
place free

# ---- those that do nothing, and those that disturb ---------------------------------------------

# What only the proxy's processes hold, KiB: libnghttp2's memory is not all in the heap.
private() {
	local p
	for p in $(pgrep -x polproxy; pgrep -x haproxy); do awk '/^Private_(Clean|Dirty)/ { print $2 }' "/proc/$p/smaps_rollup"; done |
		awk '{ s += $1 } END { print s + 0 }'
}
# What the kernel holds for established TCP connections of this host: the slabs of their sockets.
sockets() { awk '/^(TCP|TCPv6|sock_inode_cache|filp|request_sock_TCP|tw_sock_TCP) / { s += $2 * $4 } END { print int(s / 1024) }' /proc/slabinfo; }
each_holds() { # CASE WHO METRIC CONNECTIONS KIB
	sample idle "$1" "$2" "$3" bytes 1 "$(awk -v n="$4" -v kib="$5" 'BEGIN { if (n) printf "%.0f", kib * 1024 / n }')"
}
idle1() { # WHO: connections that have asked once; both halves, and client and server, share the kernel
	local before kernel holders=() held='' name many=$IDLE
	[ "$many" -lt "$maxconn" ] || many=$((maxconn - 100))
	"$1_on" "$first"
	before=$(private) kernel=$(sockets)
	rm -f out.client.* out.second.* out.third.*
	for name in client second third; do
		spawn "$name" "$HTTP" hold "$a" 80 $((many / 3 + 1))
		holders+=("$spawned")
	done
	for _ in $(seq 300); do
		held=$(cat out.client.* out.second.* out.third.* 2>/dev/null | awk '{ s += $1; n++ } END { print n == 3 ? s : "" }')
		[ -z "$held" ] || break
		sleep 0.1
	done
	each_holds "http=1 connections=$many" "$1" user "${held:-0}" $(($(private) - before))
	each_holds "http=1 connections=$many" "$1" kernel "${held:-0}" $(($(sockets) - kernel))
	kill "${holders[@]}"
	wait "${holders[@]}" 2>/dev/null
	"$1_off"
}
allowed() { "$POLLOAD" status --json | jq .proxy.allowed; }
idle2() { # ours
	local before want holders=()
	printf 'request 1 GET /hit/7 end\nwait 1\nsleep 600000\n' >idle.frames
	polproxy_on "$first"
	before=$(private) want=$(($(allowed) + IDLE2))
	for _ in $(seq "$IDLE2"); do
		nsenter --net="/run/netns/$test_name-client" "$H2" ask "$a" 81 <idle.frames >/dev/null 2>&1 &
		holders+=("$!")
	done
	for _ in {1..300}; do [ "$(allowed)" -lt "$want" ] || break; sleep 0.1; done
	sleep 1
	each_holds "http=2 connections=$IDLE2" polproxy user "$IDLE2" $(($(private) - before))
	kill "${holders[@]}"
	wait "${holders[@]}" 2>/dev/null
	polproxy_off
}
idle1 polproxy
idle1 haproxy
[ -z "$h2" ] || idle2

# Four connections of one client beside clients of another container: so many requests a second are offered, and as
# many as it can ask; client and server share the CPUs with those who disturb.
disturb() { # ROUND BESIDE COMMAND...
	local pid='' paced free
	[ $# = 2 ] || { spawn second "${@:3}"; pid=$spawned; sleep 0.5; }
	paced=$(inside client "$LOAD" pace "$a" 80 /hit/7 4 2000 "$ms")
	free=$(inside client "$LOAD" load "$a" 80 /hit/7 4 "$ms")
	[ -z "$pid" ] || { kill "$pid"; wait "$pid" 2>/dev/null; }
	sample disturb "beside=$2" polproxy answered % "$1" "$(awk '{ print 100 * $2 / $1 }' <<<"$paced")"
	sample disturb "beside=$2" polproxy p99-offered us "$1" "$(awk '{ print $4 }' <<<"$paced")"
	sample disturb "beside=$2" polproxy requests 1/s "$1" "$(awk '{ print $2 }' <<<"$free")"
	sample disturb "beside=$2" polproxy p99 us "$1" "$(awk '{ print $5 }' <<<"$free")"
}
polproxy_on "$first"
for ((round = 1; round <= $(rounds 3 1); round++)); do
	disturb "$round" nobody
	disturb "$round" unfinished-heads "$LOAD" open "$a" 80 1000 'GET /hit/7 HTT'
	disturb "$round" silent "$LOAD" open "$a" 80 1000
	disturb "$round" no-readers "$LOAD" stall "$a" 80 /bytes/536870912 20
	disturb "$round" connect-and-reset "$LOAD" storm "$a" 80 600000
	disturb "$round" busy "$LOAD" load "$a" 80 /hit/7 32 600000
done
polproxy_off
bench_done
