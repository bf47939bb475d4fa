#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# HTTP rules over time: applies under load lose no request and let none through that no policy
# allows; a live connection that comes under rules is reset; a proxy that somebody has taken over
# reaches nothing but what its clients asked for; slow clients do not stop the others.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/httplib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

host_up
container client 1 "app: client"
container server 2 "app: server"
container other 3 "app: other"
host_file client server other >host.yaml
for a in "${v4[server]}" "${v6[server]}"; do
	spawn server "$HTTP" serve "$a" 80 --record "$work/server.bytes"
done
listening server tcp 80
serve server tcp 7000
serve other tcp 80

policy() { # PATH: allowed beside /both
	cat <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
endpoint other = app == "other";
policy client { allow to { server, other } on tcp 80, 7000; }
policy server {
    allow from client on tcp 80 http { allow GET "/both"; allow GET "$1"; }
    allow from client on tcp 7000;
}
policy other { allow from client on tcp 80 http { allow GET "/"; } }
END
}
policy /one >one.pol
policy /two >two.pol
policy /one | sed 's/allow from client on tcp 7000;/allow from client on tcp 7000 http { }/' >more.pol
policy /one | sed '/ http {/d' >plain.pol
for p in one two more plain; do "$POLC" "$p.pol" -o "$p.bpf.o" || bail "compile $p"; done
"$POLLOAD" apply one.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# ---- applies under load ----------------------------------------------------------------

# Requests until told to stop; each answer is counted.
load() { # NAME ADDRESS PATH
	while [ ! -e stop ]; do
		inside client curl -s -o /dev/null -o /dev/null -o /dev/null -o /dev/null -m 30 -w '%{http_code}\n' \
			"http://$2/both" "http://$2$3" "http://$2/both" "http://$2/never" 2>/dev/null |
			paste -sd' '
	done >"seen.$1"
}
loads=()
load 1 "${v4[server]}" /both &
loads+=("$!")
load 2 "[${v6[server]}]" /both &
loads+=("$!")
load 3 "${v4[server]}" /one &
loads+=("$!")
swap_beside 25 "${loads[@]}"
n=$(cat seen.1 seen.2 | wc -l)
[ "$n" -gt 50 ]
is "50 applies with $n rounds of 4 requests beside them" 0 $?
# curl writes one code for each URL
is "what both policies allow is always answered, what neither does never" "200 200 200 403" \
	"$(cat seen.1 seen.2 | sort -u | paste -sd'|')"
is "what one of them allows is allowed or denied, nothing else" "200 200 200 403|200 403 200 403" \
	"$(sort -u seen.3 | paste -sd'|')"
is "and /never has not arrived" 0 "$(grep -ac 'GET /never' server.bytes)"

# ---- the proxy killed under load ---------------------------------------------------------

rm stop
: >server.bytes
loads=()
load 4 "${v4[server]}" /one &
loads+=("$!")
load 5 "[${v6[server]}]" /one &
loads+=("$!")
answered() { # whether a request is, as soon as there is somebody
	[ "$(inside client curl -s -o /dev/null -m 60 --retry 20 --retry-all-errors --retry-delay 1 -w '%{http_code}' "http://${v4[server]}/both" | tail -c 3)" = 200 ]
}
# Connections that were answered once, and ask for what is denied when whoever answered is no more.
hold() { # NAME: two of them
	local a
	rm -f killed
	for a in "${v4[server]}" "${v6[server]}"; do
		# shellcheck disable=SC2016 # of the shell inside
		inside client timeout 60 bash -c 'exec 3<>"/dev/tcp/$1/80" && printf "GET /both HTTP/1.1\r\nHost: h\r\n\r\n" >&3
			head -c 12 <&3
			while [ ! -e killed ]; do sleep 0.05; done
			printf "GET /never HTTP/1.1\r\nHost: h\r\n\r\n" >&3
			timeout 0.5 cat <&3' - "$a" >"held.$1.$a" 2>/dev/null &
		holding+=("$!")
		begun "held.$1.$a"
	done
}
dead='' holding=()
for i in {1..5}; do
	parent=$(pgrep -o -x polproxy)
	mapfile -t workers < <(pgrep -P "$parent")
	hold "$i.worker"
	kill -KILL "${workers[@]}"
	: >killed
	answered || not_ok "turn $i: the workers were killed, and there are no others"
	[ "$parent" = "$(pgrep -o -x polproxy)" ] || not_ok "turn $i: their parent goes on"
	wait "${holding[@]}"
	hold "$i.all"
	for p in $(pgrep -x polproxy); do kill -KILL "$p" 2>/dev/null; done
	: >killed
	dead+=" $(inside client curl -s -o /dev/null -m 0.5 -w '%{http_code}' "http://${v4[server]}/both")"
	"$POLLOAD" proxy || not_ok "turn $i: polload proxy"
	answered || not_ok "turn $i: all of them were killed, and polload has started others"
	wait "${holding[@]}"
done
: >stop
wait "${loads[@]}"
is "with no proxy there is no answer, allowed or not" " 000 000 000 000 000" "$dead"
is "workers, then proxies killed under load: what is answered is answered as the policy says" "" \
	"$(cat seen.4 seen.5 | grep -vE '^((200|000) ){3}(403|000)$' | head -n 3)"
is "live connections end with who answered them" "20 of 20: 1" \
	"$(find . -name 'held.*' | wc -l) of $(grep -l 'HTTP/1.1 200' held.* | wc -l): $(cat held.* | grep -ao 'HTTP/' | wc -l | awk '{ print $1 / 20 }')"
is "and /never has not arrived" 0 "$(grep -ac 'GET /never' server.bytes)"

# ---- a live connection that comes under HTTP rules -----------------------------------------

inside client "$PROBE" stream "${v4[server]}" 7000 --for 60000 --timeout 30000 --interval 10 --count stream.n >stream.out 2>&1 &
stream=$!
echoing stream.n
"$POLLOAD" apply more.bpf.o >/dev/null || not_ok "apply"
if wait $stream; then
	not_ok "a live connection that comes under HTTP rules ends" "$(cat stream.out)"
else
	ok "a live connection that comes under HTTP rules ends"
fi
[ "$("$POLLOAD" status --json | jq '.drops.http_gained.packets // 0')" -ge 1 ]
is "and it is counted" 0 $?
"$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply"

lookups() { # programs at sk_lookup of this host; other tests have theirs in other namespaces
	bpftool -j link show | jq --argjson here "$(stat -Lc %i /proc/self/ns/net)" \
		'[.[] | select(.type == "netns" and .attach_type == "sk_lookup" and .netns_ino == $here)] | length'
}

# ---- a client's port again, where the proxy closed first ------------------------------------

again "IPv4" client "${v4[server]}" 80 /both 61001
again "IPv6" client "${v6[server]}" 80 /both 61002
# The client takes the port that the proxy took for it, to the same server.
for f in 4 6; do
	[ $f = 4 ] && to=${v4[server]} || to=${v6[server]}
	took=$("$POLLOAD" flows --json | jq --arg to "$to" '[.[] | select(.proxy == "server" and .state == "closed" and .to.address == $to)] | min_by(.seconds).from.port')
	again "IPv$f, from a port that was the proxy's" client "$to" 80 /both "$took"
done
for p in $(pgrep -x polproxy); do kill -KILL "$p" 2>/dev/null; done
"$POLLOAD" proxy || not_ok "proxy starts it again"
again "with another proxy's listeners, IPv4" client "${v4[server]}" 80 /both 61001
again "IPv6" client "${v6[server]}" 80 /both 61002
pins=${POLC_BPFFS:?}
is "each used its leave to find the listener" "[]" "$(bpftool -j map dump pinned "$pins/proxy_again")"
"$POLLOAD" apply two.bpf.o >/dev/null || not_ok "apply"
again "after an apply" client "${v4[server]}" 80 /both 61003
rm "$pins/sk_lookup"
like "status sees that the program is gone that shows them the way" "has no program at sk_lookup" "$("$POLLOAD" status)"
"$POLLOAD" proxy || not_ok "proxy attaches it"
is "polload proxy attaches it" 0 "$("$POLLOAD" status >/dev/null; echo $?)"
again "and so" client "${v4[server]}" 80 /both 61004
"$POLLOAD" apply plain.bpf.o >/dev/null || not_ok "apply"
is "without http rules it is not there" 0 "$(lookups)"
"$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply"
is "with them it is, once" 1 "$(lookups)"

# ---- slow clients ----------------------------------------------------------------------------

open() { # connections that the proxy has
	"$POLLOAD" status --json | jq .proxy.open
}
for _ in $(seq 200); do
	(printf 'GET /both HTTP/1.1\r\nHo'; exec sleep 100) |
		inside client "$HTTP" ask "${v4[server]}" 80 --timeout 100000 >/dev/null 2>&1 &
done
for _ in {1..600}; do
	[ "$(open)" -lt 150 ] || break
	sleep 0.1
done
is "with 200 clients that never end their head the others are served" "200" \
	"$(inside client curl -s -o /dev/null -m 30 -w '%{http_code}' "http://${v4[server]}/both")"
[ "$(open)" -ge 150 ]
is "and they hold nothing but a buffer each" 0 $?

# ---- a proxy in other hands -----------------------------------------------------------------

"$POLLOAD" remove >/dev/null
for p in $(pgrep -x polproxy); do kill -KILL "$p" 2>/dev/null; done
sleep 0.3
"$POLLOAD" apply one.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
before=$("$POLLOAD" status --json | jq '.drops.proxy_credit.packets // 0')
cp "$PROBE" probe
chmod 755 "$work" probe
for a in "${v4[client]}" "${v6[client]}"; do
	to=${v4[server]} third=${v4[other]}
	[ "$a" = "${v4[client]}" ] || to=${v6[server]} third=${v6[other]}
	is "with the proxy's mark and a client's address, but no redirected flow: nothing" timeout \
		"$("$PROBE" connect tcp "$to" 80 --foreign "$a" --mark 0x300 --timeout 600)"
	printf 'GET /both HTTP/1.1\r\nHost: h\r\n\r\n' |
		inside client "$HTTP" ask "$to" 80 --answers 1 --timeout 50 >/dev/null
	is "a credit for one server is none for another" timeout \
		"$("$PROBE" connect tcp "$third" 80 --foreign "$a" --mark 0x300 --timeout 600)"
	printf 'GET /never HTTP/1.1\r\nHost: h\r\n\r\n' |
		inside client "$HTTP" ask "$to" 80 --answers 1 --timeout 50 | head -1 | grep -q 403 ||
		not_ok "a request that is denied"
	for user in 0 65533; do
		is "a credit that a denied request left is of no use to user $user" timeout \
			"$(setpriv --reuid=$user --clear-groups --inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw \
				"$work/probe" connect tcp "$to" 80 --foreign "$a" --mark 0x300 --timeout 600)"
	done
	is "and that of a flow is spent by it" timeout \
		"$("$PROBE" connect tcp "$to" 80 --foreign "$a" --mark 0x300 --timeout 600)"
done
after=$("$POLLOAD" status --json | jq '.drops.proxy_credit.packets // 0')
[ "$after" -ge $((before + 6)) ]
is "each was counted" 0 $?

# ---- who is no client of the proxy ------------------------------------------------------------

port=$(ss -Hltn src 127.0.0.1 | awk '{ sub(/.*:/, "", $4); print $4; exit }')
is "who dials the listener itself is reset" 2 \
	"$(printf 'GET /both HTTP/1.1\r\nHost: h\r\n\r\n' | "$HTTP" ask 127.0.0.1 "$port" --answers 1 --timeout 500 >/dev/null; echo $?)"
"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
