#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# Requests and responses that readers could understand in two ways, through the real proxy:
# tests/http/*.case say what each is answered and what the other side may receive.  Both ends are
# on one bridge; upstreams.sh has them on routed links.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/bridge.sh"
. "$e2e_tree/tests/http/cases.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy} POLC_PROXY_LOG=$work/access.log

host_up
bridge_up br0 9
bridged client br0 9 3 "app: client"
bridged server br0 9 2 "app: server"
bridged_host_file client server >host.yaml
echo 'proxy: {name_rules: true, timeout: {head: 60}}' >>host.yaml
mkdir raw
: >server.bytes
spawn server "$HTTP" serve "${v4[server]}" 80 --record "$work/server.bytes" --raw "$work/raw"
listening server tcp 80 1
printf '%s\n' "$http_policy" >web.pol
"$POLC" web.pol -o web.bpf.o || bail "compile"
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# shellcheck disable=SC2317 # called by name
request() { # NAME ANSWERS SERVER BYTES
	local name=$1 want=$2 server=$3 got answers
	bytes "$4" >sent
	: >server.bytes
	answers=$(wc -w <<<"${want%%,*}")
	inside client "$HTTP" ask "${v4[server]}" 80 --answers "$answers" --timeout 60 <sent >answer
	got=$(codes answer)
	case $server in
	none) : >may ;;
	all) cp sent may ;;
	*) head -c "$server" sent >may ;;
	esac
	case ",$want," in
	*",${got:--},"*) ;;
	*)
		not_ok "request: $name" "expected: $want" "seen:     ${got:--}"
		return
		;;
	esac
	for _ in {1..600}; do
		[ "$(wc -c <server.bytes)" -lt "$(wc -c <may)" ] || break
		sleep 0.05
	done
	if cmp -s may server.bytes; then
		ok "request: $name: $got"
	else
		not_ok "request: $name" "the server got:" "$(head -c 300 server.bytes | od -c | head -8)"
	fi
}

response() { # NAME CLIENT BYTES
	local code seen until=()
	bytes "$3" >raw/answer
	case $2 in
	pass) until=(--bytes "$(wc -c <raw/answer)") ;;
	502) until=(--answers 1) ;;
	*) until=(--bytes 1000000) ;; # it ends
	esac
	printf 'GET /raw/answer HTTP/1.1\r\nHost: h\r\n\r\n' |
		inside client "$HTTP" ask "${v4[server]}" 80 "${until[@]}" --timeout 60 >answer
	code=$?
	seen="$(wc -c <answer) bytes, exit code $code"
	case $2 in
	pass) cmp -s raw/answer answer ;;
	502) [ "$(codes answer)" = 502 ] ;;
	reset) [ $code = 2 ] && cmp -s raw/answer answer ;;
	cut) [ $code = 2 ] && ! cmp -s raw/answer answer &&
		cmp -s -n "$(wc -c <answer)" answer raw/answer ;;
	esac
	is "response: $1: $2 ($seen)" 0 $?
}

each_request "$e2e_tree/tests/http/requests.case" request
while IFS= read -r line; do
	case $line in '#'* | '') continue ;; esac
	name=${line%% | *} line=${line#* | }
	response "$name" "${line%% | *}" "${line#* | }"
done <"$e2e_tree/tests/http/responses.case"

# Many at once, and no more follows: each has its answer, and the end comes behind the last.
many() { # N
	local i
	for ((i = 1; i <= $1; i++)); do printf 'GET /no/%d HTTP/1.1\r\nHost: h\r\n\r\n' "$i"; done
	printf 'GET /ok/1 HTTP/1.1\r\nHost: h\r\n\r\n'
}
many 400 >sent
for how in '' --close; do
	# shellcheck disable=SC2086
	inside client "$HTTP" ask "${v4[server]}" 80 $how --answers 401 --timeout 60 <sent >answer
	is "401 requests in one go, the last one allowed ${how:+($how)}" "400 403 1 200" \
		"$(codes answer | tr ' ' '\n' | uniq -c | awk '{ print $1, $2 }' | paste -sd' ')"
done

# A server that closes, or speaks, while a part of the next request is there: that is no time for an answer.
open() { "$POLLOAD" status --json | jq .proxy.open; }
within_a_head() { # WHAT BYTES: that the server sends then, before it closes
	local asking
	printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' >raw/late
	printf '%b' "$2" >raw/late.then
	rm -f raw/late.now over
	: >access.log
	for _ in {1..200}; do [ "$(open)" != 0 ] || break; sleep 0.05; done
	{ printf 'GET /raw/late HTTP/1.1\r\nHost: h\r\n\r\nGET /ok/2 HTTP/1.1\r\nHost: h\r\n'
	  until [ -e over ]; do sleep 0.05; done
	  printf '\r\n'; } |
		inside client "$HTTP" ask "${v4[server]}" 80 --answers 2 --timeout 60 >answer &
	asking=$!
	for _ in {1..400}; do ! grep -q '"path":"/raw/late"' access.log || break; sleep 0.05; done
	: >raw/late.now
	for _ in {1..100}; do [ "$(open)" != 0 ] || break; sleep 0.1; done
	is "within the next request's head the server $1: the connection ends" 0 "$(open)"
	: >over
	wait $asking
	is "and that request has no answer" 200 "$(codes answer)"
}
within_a_head closes ''
within_a_head speaks 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra'

# A request that breaks while its answer waits for who asked: what there is of that is no whole one.
{ printf 'HTTP/1.1 200 OK\r\n\r\n'; head -c 16000000 /dev/zero; } >raw/large
: >raw/large.then
received() { inside client ss -Htn state established 'dport = :80' | awk '{ n += $1 } END { print n + 0 }'; }
{ printf 'GET /raw/large HTTP/1.1\r\nHost: h\r\nX-Early: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'
  before=-1
  for _ in {1..100}; do
	now=$(received)
	[ "$now" = 0 ] || [ "$now" != "$before" ] || break
	before=$now
	sleep 0.2
  done
  printf 'no size\r\n'; } |
	inside client "$HTTP" ask "${v4[server]}" 80 --bytes 100000000 --timeout 60 >answer
is "a request that breaks while its answer waits to be read: a reset" 2 $?
[ "$(wc -c <answer)" -lt 16000000 ]
is "of an answer that is not whole ($(wc -c <answer) bytes)" 0 $?

# Asked to, the proxy tells who is denied by which line.
line=$(grep -n 'deny \* "/ok/secret"' web.pol | cut -d: -f1)
printf 'GET /ok/secret HTTP/1.1\r\nHost: h\r\n\r\nGET /none? HTTP/1.1\r\nHost: h\r\n\r\n' |
	inside client "$HTTP" ask "${v4[server]}" 80 --answers 2 --timeout 60 >answer
is "a 403 names its line" "web.pol:$line none" "$(tr -d '\r' <answer | sed -n 's/^X-Policy-Rule: //p' | paste -sd' ')"

"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
