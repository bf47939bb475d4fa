#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# HTTP/2 through the real proxy: tests/http/h2*.case say what streams are answered and which fields the
# other side may receive; then with the clients and the server of others.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/http/cases.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http}
H2=${H2:-$e2e_build/tests/tools/h2}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy} POLC_PROXY_LOG=$work/access.log
for program in curl nghttp nghttpd; do
	command -v $program >/dev/null || skip "no $program"
done

host_up
container client 1 "app: client"
container server 2 "app: server"
host_file client server >host.yaml
echo 'proxy: {name_rules: true}' >>host.yaml
: >server.record
: >play
for a in "${v4[server]}" "${v6[server]}"; do
	spawn server "$H2" serve "$a" 80 --record "$work/server.record" --play "$work/play"
done
listening server tcp 80
printf '%s\n' "$http_policy" >web.pol
"$POLC" web.pol -o web.bpf.o || bail "compile"
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# ---- cases --------------------------------------------------------------------------------

count=0
# shellcheck disable=SC2317
next_address() { # one after the other by IPv4 and IPv6
	count=$((count + 1))
	address=${v4[server]}
	[ $((count % 2)) = 0 ] || address=${v6[server]}
}

# shellcheck disable=SC2317
# Every word that is wanted, and no status besides.
as_wanted() { # GOT
	local word
	for word in $want; do
		case " $1 " in
		*" $word "* | *" $word="*) ;;
		*) [ "$word" = any ] || return 1 ;;
		esac
	done
	case " $want " in *' any '*) return 0 ;; esac
	for word in $1; do
		case $word in
		*:[0-9]*) case " $want " in *" $word "*) ;; *) return 1 ;; esac ;;
		esac
	done
}

# shellcheck disable=SC2154,SC2317 # each_h2_case sets them, and calls it by name
request() { # NAME
	local got ids=$server
	next_address
	[ "$server" != none ] || ids=
	: >server.record
	got=$(inside client "$H2" ask "$address" 80 --want "$want" --streams "$ids" --sent may <frames)
	if ! as_wanted "$got"; then
		not_ok "request: $1" "expected: $want" "seen:     ${got:0:300}"
		return
	fi
	for _ in {1..600}; do
		[ "$(wc -c <server.record)" -lt "$(wc -c <may)" ] || break
		sleep 0.05
	done
	if cmp -s may server.record; then
		ok "request: $1: ${got:0:100}"
	else
		not_ok "request: $1" "the server got:" "$(head -c 600 server.record)" "of:" "$(head -c 600 may)"
	fi
}

# shellcheck disable=SC2317 # called by name
response() { # NAME
	local got
	next_address
	cp frames play
	got=$(printf 'request 1 %s /ok/play%s\n' "${asked%-open}" "$([ "$asked" != "${asked%-open}" ] || echo ' end')" |
		inside client "$H2" ask "$address" 80 --want "$want")
	if as_wanted "$got"; then
		ok "response: $1: ${got:0:100}"
	else
		not_ok "response: $1" "expected: $want" "seen:     ${got:0:300}"
	fi
}

each_h2_case "$e2e_tree/tests/http/h2requests.case" request
each_h2_case "$e2e_tree/tests/http/h2responses.case" response

# One that takes no more requests, while one is under way: the next has not been begun.
printf 'status @ 200\nframe 7 0 0 0000000100000000\n' >play
is "a server that takes no more: a request that may be tried again" "1:200 3:rst=REFUSED_STREAM" \
	"$(printf 'request 1 GET /ok/play end\nwait 1\nrequest 3 GET /ok/1 end\n' |
		inside client "$H2" ask "${v4[server]}" 80 --want "3:rst=REFUSED_STREAM" | grep -o '[13]:[2r][^ ]*' | paste -sd' ')"

# ---- clients and servers of others ------------------------------------------------------------

mkdir -p root/ok
echo content >root/ok/1
head -c 3000000 /dev/urandom >root/ok/large
container nghttpd 3 "app: server"
host_file client server nghttpd >host.yaml
"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
for a in "${v4[nghttpd]}" "${v6[nghttpd]}"; do
	spawn nghttpd nghttpd --no-tls -v -d root -a "$a" 80
done
until [ "$(inside nghttpd ss -Hln --tcp "sport = :80" | wc -l)" -ge 2 ]; do sleep 0.05; done
for a in "${v4[nghttpd]}" "[${v6[nghttpd]}]"; do
	is "nghttp: streams of one connection are judged one by one ($a)" "200 403 404 400" \
		"$(inside client nghttp -v "http://$a/ok/1" "http://$a/admin" "http://$a/ok/2" "http://$a/ok/%2e%2e/x" |
			grep -o 'recv (stream_id=[0-9]*) :status: [0-9]*' | sort -u | sed 's/.* //' | paste -sd' ')"
	is "curl: a body arrives as it is ($a)" "$(cksum <root/ok/large)" \
		"$(inside client curl -s -m 60 --http2-prior-knowledge "http://$a/ok/large" | cksum)"
	is "curl: and another one upwards ($a)" 200 \
		"$(inside client curl -s -m 60 -o /dev/null -w '%{http_code}' --http2-prior-knowledge \
			--data-binary @root/ok/large "http://$a/ok/1")"
done
for family in 4 6; do
	declare -n at=v$family
	is "the server sees the client (IPv$family)" "${at[client]}" \
		"$(a=${at[server]}; [ $family = 4 ] || a="[$a]"
		   inside client curl -s -m 10 --http2-prior-knowledge "http://$a/ok/1")"
done
spawn nghttpd "$HTTP" serve "${v4[nghttpd]}" 81
listening nghttpd tcp 81 1
is "a server of HTTP/1 alone: 502" 502 "$(
	sed 's/tcp 80/tcp 80, 81/g' web.pol >both.pol
	"$POLC" both.pol -o both.bpf.o && "$POLLOAD" apply both.bpf.o >/dev/null
	inside client curl -s -m 10 -o /dev/null -w '%{http_code}' --http2-prior-knowledge "http://${v4[nghttpd]}:81/ok/1")"
like "and the log says why" "the server does not speak HTTP/2" "$(cat access.log)"
is "the log has streams as it has requests" "HTTP/2 GET 10.66.3.2 /admin deny 403 client nghttpd" \
	"$(grep '"/admin"' access.log | grep 10.66.3.2 | head -1 |
		jq -r '"\(.protocol) \(.method) \(.host) \(.path) \(.verdict) \(.status) \(.source.name) \(.destination.name)"')"
is "and the line that denied" "$(grep -n 'deny \* "/ok/secret"' web.pol | cut -d: -f1)" \
	"$(grep '"/ok/secret"' access.log | grep HTTP/2 | head -1 | jq -r .line)"

"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
