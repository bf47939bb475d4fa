#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# HTTP/2 over time: policies change and the proxy drains without losing a stream; one who does not
# read makes it hold no more than its windows; idle connections cost what they may.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/httplib.sh"
H2=${H2:-$e2e_build/tests/tools/h2}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}
for program in nghttp nghttpd; do
	command -v $program >/dev/null || skip "no $program"
done

host_up
container client 1 "app: client"
container server 2 "app: server"
container large 3 "app: server"
host_file client server large >host.yaml
for a in "${v4[server]}" "${v6[server]}"; do
	spawn server "$H2" serve "$a" 80
done
mkdir root
truncate -s 200M root/large
echo small >root/both
spawn large nghttpd --no-tls -d root -a "${v4[large]}" 80
listening server tcp 80
listening large tcp 80 1

policy() { # PATH: allowed beside the others
	cat <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 80; }
policy server { allow from client on tcp 80 http { allow GET, POST "/both"; allow GET "/large"; allow GET "$1"; } }
END
}
policy /one >one.pol
policy /two >two.pol
for p in one two; do "$POLC" "$p.pol" -o "$p.bpf.o" || bail "compile $p"; done
"$POLLOAD" apply one.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

workers_kib() { # what only they hold, all together
	local p sum=0
	for p in $(pgrep -P "$(pgrep -xo polproxy)"); do
		sum=$((sum + $(awk '/^Private_(Clean|Dirty)/ { n += $2 } END { print n }' "/proc/$p/smaps_rollup")))
	done
	echo $sum
}

# A client that holds its connection with these frames; its number is in $held.
hold() { # ADDRESS FRAMES
	nsenter --net="/run/netns/$test_name-client" "$H2" ask "$1" 80 <"$2" >/dev/null 2>&1 &
	held=$!
}

# ---- idle connections ------------------------------------------------------------------------------

before=$(workers_kib)
idle=()
printf 'request 1 GET /both end\nwait 1\nsleep 60000\n' >idle.frames
for _ in {1..200}; do
	hold "${v4[server]}" idle.frames
	idle+=("$held")
done
for _ in {1..600}; do
	[ "$("$POLLOAD" status --json | jq '.proxy.allowed')" != 200 ] || break
	sleep 0.1
done
sleep 0.5
is "200 connections are open" 200 "$("$POLLOAD" status --json | jq '.proxy.open')"
each=$((($(workers_kib) - before) / 200))
[ $each -lt 48 ]
is "each of them holds $each KiB, idle" 0 $?
kill "${idle[@]}"
wait "${idle[@]}" 2>/dev/null

# ---- applies under load -----------------------------------------------------------------------

# On one connection: a request that both policies allow, one that neither does, a body that is under way.
rounds() { # ADDRESS
	local id=1
	while [ ! -e stop ]; do
		for id in 1 7 13 19 25 31; do
			printf '%s\n' "request $id POST /both" "data $id first" \
				"request $((id + 2)) GET /both end" "request $((id + 4)) GET /never end" \
				"wait $((id + 2))" "wait $((id + 4))" "sleep 20" "data $id end last" "wait $id"
		done | inside client "$H2" ask "$1" 80 --timeout 0 | tr ' ' '\n' | grep -v bytes | sed 's/^[0-9]*://' | paste -sd' '
	done
}
rounds "${v4[server]}" >seen.4 &
loads=("$!")
rounds "${v6[server]}" >seen.6 &
loads+=("$!")
swap_beside 3 "${loads[@]}"
n=$(cat seen.4 seen.6 | wc -l)
[ "$n" -ge 2 ]
is "6 applies with $n connections of 18 streams beside them" 0 $?
is "what both policies allow is answered, also if it began under the other; what neither does never" \
	"200 200 403 200 200 403 200 200 403 200 200 403 200 200 403 200 200 403" "$(cat seen.4 seen.6 | sed 's/ *$//' | sort -u | paste -sd'|')"

# ---- who does not read ----------------------------------------------------------------------------

before=$(workers_kib)
stalled=()
{ printf 'settings 4=2147483647\nwindow 0 2147418112\n'
  for id in 1 3 5 7 9 11 13 15 17 19; do echo "request $id GET /large end"; done
  echo 'stall 60000'; } >stall.frames
for _ in {1..8}; do
	hold "${v4[large]}" stall.frames
	stalled+=("$held")
done
sleep 3
kib=$(($(workers_kib) - before))
[ $kib -le $((8 * 1400 + 2048)) ]
is "8 connections that ask for 16 GB and read nothing hold $kib KiB" 0 $?
is "beside them others are served" 1:200 "$(echo 'request 1 GET /both end' |
	inside client "$H2" ask "${v4[server]}" 80 --want 1:200 | cut -d' ' -f1)"
kill "${stalled[@]}"
wait "${stalled[@]}" 2>/dev/null

# ---- the end -------------------------------------------------------------------------------------------

printf '%s\n' 'request 1 POST /both' 'data 1 first' "until $work/told" 'sleep 2000' 'data 1 end last' |
	inside client "$H2" ask "${v4[server]}" 80 --want '1:200 over' >drained &
busy=$!
for _ in {1..600}; do
	[ "$("$POLLOAD" status --json | jq '.proxy.open')" != 1 ] || break
	sleep 0.05
done
kill -TERM "$(pgrep -xo polproxy)"
: >told
wait $busy
is "told to end, it says so, finishes what is under way, and closes" \
	"1:200 1:bytes=10 goaway=NO_ERROR goaway=NO_ERROR over" "$(sed 's/ *$//' drained)"
for _ in {1..300}; do pgrep -x polproxy >/dev/null || break; sleep 0.1; done
is "and is gone" "" "$(pgrep -x polproxy)"
"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
