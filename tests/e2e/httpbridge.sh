#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# HTTP rules where no socket can be assigned to what comes: containers on a bridge, this host itself,
# published ports, masquerading.  A denied request never reaches the server, and the server sees who asks.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/bridge.sh"
. "$e2e_tree/tests/e2e/httplib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}
[ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || skip "this kernel has no br_netfilter"

container routed 1 "app: client"
outside world
bridge_up br0 9
bridge_up br1 8
bridged server br0 9 2 "app: server"
bridged client br0 9 3 "app: client"
bridged far br1 8 2 "app: client"
bridged_host_file routed server client far >host.yaml

for c in server world; do
	for a in "${v4[$c]}" "${v6[$c]}"; do
		spawn $c "$HTTP" serve "$a" 80 --record "$work/$c.bytes"
	done
	listening $c tcp 80
done

cat >web.pol <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client {
    allow to server on tcp 80, 7000;
    allow to world on tcp 80 http { allow GET "/out/**"; }
    allow to host on tcp 8080;
}
policy server {
    allow from client on tcp 80 http { allow GET "/client/**"; allow POST "/sink"; }
    allow from host on tcp 80 http { allow GET "/host/**"; allow POST "/sink"; }
    allow from world on tcp 80 http { allow GET "/world/**"; allow POST "/sink"; }
    allow from client on tcp 7000;
    allow from host on tcp 7000;
    allow from world on tcp 7000;
}
END
"$POLC" web.pol -o web.bpf.o || bail "compile"
head -c 1000000 /dev/zero >large

ask() { # FROM ADDRESS PORT PATH [HOW...]: status of one request, or 000; FROM host: this host
	local from=$1 a=$2 port=$3 path=$4 run=(inside "$1")
	shift 4
	[ "$from" != host ] || run=()
	case $a in *:*) a="[$a]" ;; esac
	"${run[@]}" curl -s -o answer -w '%{http_code}' -m 30 "$@" "http://$a:$port$path" || true
}

status() { # FROM TO PATH [HOW...]
	local from=$1 to=$2
	shift 2
	echo "$(ask "$from" "${v4[$to]}" 80 "$@") $(ask "$from" "${v6[$to]}" 80 "$@")"
}

pub4=192.0.2.1 pub6=2001:db8:1::1
published() { # FROM PATH [HOW...]: by port 8080 of this host
	local from=$1
	shift
	echo "$(ask "$from" $pub4 8080 "$@") $(ask "$from" $pub6 8080 "$@")"
}

each() { # what holds whatever the host does to packets on their way
	local from
	for from in client far routed; do
		is "$phase, from $from: allowed" "200 200" "$(status $from server "/client/$from")"
		is "$phase, the server sees $from" "${v6[$from]}" "$(cat answer)"
		is "$phase, from $from: denied" "403 403" "$(status $from server "/denied/$from")"
		is "$phase, from $from out: allowed" "200 200" "$(status $from world /out/1)"
		is "$phase, from $from out: denied" "403 403" "$(status $from world /denied)"
	done
	is "$phase, from outside: allowed" "200 200" "$(status world server /world/1)"
	is "$phase, the server sees who is outside" "${v6[world]}" "$(cat answer)"
	is "$phase, from outside: denied" "403 403" "$(status world server /denied/world)"
	is "$phase, from this host: allowed" "200 200" "$(status host server /host/1)"
	is "$phase, the server sees this host" fd66:0:0:9::1 "$(cat answer)"
	is "$phase, from this host: denied" "403 403" "$(status host server /denied/host)"
	for from in client far routed; do
		again "$phase, $from" $from "${v4[server]}" 80 /client/1 $((++port))
	done
	again "$phase, IPv6" client "${v6[server]}" 80 /client/1 $((++port))
	again "$phase, from outside" world "${v4[server]}" 80 /world/1 $((++port))
	again "$phase, from this host" host "${v4[server]}" 80 /host/1 $((++port))
}
port=61000

# What is sent to a published port is judged as who sent it, or, where the host puts its own address
# in that one's place on the way, as from this host.
each_published() {
	is "$phase, published, from outside: allowed" "200 200" "$(published world /world/1)"
	is "$phase, published, the server sees who is outside" "${v6[world]}" "$(cat answer)"
	is "$phase, published, from outside: denied" "403 403" "$(published world /denied/published)"
	again "$phase, published" world "$pub4" 8080 /world/1 $((++port))
	is "$phase, published, from this host: allowed" "200 200" "$(published host /host/1)"
	is "$phase, published, from this host: denied" "403 403" "$(published host /denied/published)"
	is "$phase, published, masqueraded: allowed" "200 200" "$(published far /host/1)"
	again "$phase, published, masqueraded" far "$pub4" 8080 /host/1 61201
	again "$phase, published, masqueraded, IPv6" far "$pub6" 8080 /host/1 61202
	is "$phase, published, masqueraded: denied" "403 403" "$(published far /client/far)"
	is "$phase, published, beside the server: allowed" "200 200" "$(published client /client/1)"
	is "$phase, published, beside the server: denied" "403 403" "$(published client /denied/published)"
}

large() { # a megabyte through it
	local from
	for from in client far host world; do
		is "$phase, a large body from $from" "200 200 1000000" \
			"$(status $from server /sink --data-binary @large) $(cat answer)"
	done
}

settings() {
	cat /proc/sys/net/ipv4/{conf/lo/accept_local,conf/lo/src_valid_mark,tcp_early_demux} | paste -sd' '
}

asked_by_others=$(settings)
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
is "status says that nothing is missing" 0 "$("$POLLOAD" status >status.txt 2>&1; echo $?)"
for n in 0 1; do
	br_netfilter $n
	phase="br_netfilter $n"
	each
	large
done
bridged late br1 8 3 "app: client"
"$POLLOAD" endpoint add late interface=v-late address="${v4[late]}" address="${v6[late]}" mac="${mac[late]}" \
	label=app=client || not_ok "endpoint add"
is "one that comes at run time: allowed" "200 200" "$(status late server /client/late)"
is "one that comes at run time: denied" "403 403" "$(status late server /denied/late)"
"$POLLOAD" endpoint del late || not_ok "endpoint del"
ip link del v-late
# Addresses and port that the next one is masqueraded to, and nothing in the kernel remembers it.  The
# client closes first: the proxy's TIME_WAIT would compare time stamps of two hosts (RFC 6191).
for to in "${v4[server]} --port 61201" "${v6[server]} --port 61202"; do
	# shellcheck disable=SC2086 # address and option
	is "before anything is translated, to $to" "HTTP/1.1 200 OK" "$(printf 'GET /host/1 HTTP/1.1\r\nHost: h\r\n\r\n' |
		"$HTTP" ask ${to/ / 80 } --answers 1 --timeout 100 | sed -n '1s/\r$//p')"
done
# A last word of these that came after there is translation would be remembered as a connection.
for _ in {1..600}; do
	left=$(ss -Htn state connected exclude time-wait '( sport = :61201 or dport = :61201 or sport = :61202 or dport = :61202 )')
	[ -n "$left" ] || break
	sleep 0.05
done
is "and these are over" "" "$left"
# The strictest of reverse path filters, on all interfaces.
echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter
nft -f - <<END || skip "no nft with nat"
table inet nat {
	chain published {
		meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to ${v4[server]}:80
		meta nfproto ipv6 fib daddr type local tcp dport 8080 dnat ip6 to [${v6[server]}]:80
	}
	chain prerouting { type nat hook prerouting priority dstnat; jump published; }
	chain output { type nat hook output priority -100; jump published; }
	chain postrouting { type nat hook postrouting priority srcnat;
		ip saddr 10.66.0.0/16 ip daddr != 10.66.0.0/16 masquerade
		ip6 saddr fd66::/48 ip6 daddr != fd66::/48 masquerade
		ip saddr 10.66.8.0/24 oifname != br1 ct status dnat masquerade
		ip6 saddr fd66:0:0:8::/64 oifname != br1 ct status dnat masquerade
	}
}
END
for n in 0 1; do
	br_netfilter $n
	phase="translated, br_netfilter $n"
	each
	each_published
done
large
is "$phase, published, a large body from outside" "200 200 1000000" \
	"$(published world /sink --data-binary @large) $(cat answer)"
is "nothing denied reached a server" "" "$(grep -a denied server.bytes world.bytes)"
is "and nothing was dropped on its way to the proxy" "" "$("$POLLOAD" status --json |
	jq -r '.drops | keys[] | select(test("^(redirect_lost|http_no_ingress|proxy_.*|no_proxy)$"))')"

# A live connection that comes under HTTP rules is not let through unjudged.
sed '/tcp 7000;$/s/;$/ http { allow GET "\/**"; }/; s/80, 7000 http.*/80, 7000;/' web.pol >more.pol
"$POLC" more.pol -o more.bpf.o || bail "compile: $(cat more.pol)"
serve server tcp 7000
nft add rule inet nat published meta nfproto ipv4 fib daddr type local tcp dport 7001 dnat ip to "${v4[server]}:7000"
declare -A live=()
start() { # FROM ADDRESS PORT
	local run=(inside "$1")
	[ "$1" != host ] || run=()
	"${run[@]}" "$PROBE" stream "$2" "$3" --for 60000 --timeout 30000 >"stream.$1.$3" 2>&1 &
	live[$1.$3]=$!
}
start client "${v4[server]}" 7000
start far "${v6[server]}" 7000
start host "${v6[server]}" 7000
start world $pub4 7001
for _ in {1..600}; do
	n=$("$POLLOAD" flows --json | jq '[.[] | select((tostring | contains("7000")) and .state == "established")] | length')
	[ "$n" -lt 4 ] || break
	sleep 0.05
done
is "four connections are live" 4 "$n"
"$POLLOAD" apply more.bpf.o >out 2>&1 || not_ok "apply" "$(cat out)"
for who in "${!live[@]}"; do
	wait "${live[$who]}"
	is "the one of $who ends when it comes under HTTP rules" 1 "$(($? != 0))"
done
[ "$("$POLLOAD" status --json | jq '.drops.http_gained.packets // 0')" -ge 4 ]
is "and is counted" 0 $?

# Whoever changes what is needed is seen, and apply puts it right.
echo 0 >/proc/sys/net/ipv4/conf/lo/accept_local
run "$POLLOAD" status
is "status sees that a setting was changed" 1 "$code"
like "and names it" "setting 'net/ipv4/conf/lo/accept_local'" "$out"
tc filter del dev lo ingress
run "$POLLOAD" status
like "and a hook of lo that is gone" "interface 'lo': its hooks are not in place" "$out"
is "without it nothing passes by lo" 000 "$(ask host "${v4[server]}" 80 /host/1 -m 1)"
"$POLLOAD" apply web.bpf.o >/dev/null || not_ok "apply"
run "$POLLOAD" status
is "apply puts it right" 0 "$code" || echo "# $out"
is "and it works again" "200 200" "$(status host server /host/1)"

# A bridge that this host has no address on: nobody could connect onward.
ip addr flush dev br1
run "$POLLOAD" apply web.bpf.o
is "apply refuses a bridge that this host has no part of" 2 "$code"
like "and names it" "endpoint 'far': HTTP rules hold for it, and this host does not reach its address 10.66.8.2 by the bridge 'br1'" "$err"
ip addr add 10.66.8.1/24 dev br1
ip addr add fd66:0:0:8::1/64 dev br1 nodad

sed '/http {/d; s/tcp 80, 7000;/tcp 7000;/' web.pol >plain.pol
"$POLC" plain.pol -o plain.bpf.o 2>err || bail "compile: $(cat err)"
"$POLLOAD" apply plain.bpf.o >/dev/null || not_ok "apply"
is "a policy without HTTP rules needs no settings" "$asked_by_others" "$(settings)"
is "and no hook of lo" "" "$(tc filter show dev lo ingress)"
is "and no way to the proxy" "" "$(ip rule | grep -i 'fwmark 0x200')$(ip -6 rule | grep -i 'fwmark 0x200')"
for p in $(pgrep -x polproxy); do kill -KILL "$p" 2>/dev/null; done
is "and no proxy at all" "open open" "$(try client server tcp 7000)"
"$POLLOAD" apply web.bpf.o >/dev/null || not_ok "apply"
is "and one with them does" "1 1 0" "$(settings)"
"$POLLOAD" remove >/dev/null || not_ok "remove"
is "remove puts the settings back" "$asked_by_others" "$(settings)"
is "and leaves nothing at lo" "" "$(tc qdisc show dev lo clsact)"
finish
