#!/bin/bash
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
# What a client or a server can make the proxy hold, wait for or answer: large bodies whole and by
# splice, slow and silent ones, floods, each status of the proxy's own, SIGTERM, and the log's fields.
. "$(dirname "$0")/lib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http} LOAD=${LOAD:-$e2e_build/tests/tools/httpload}
H2=${H2:-$e2e_build/tests/tools/h2}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy} POLC_PROXY_SOCKET=$work/proxy.sock
for program in nghttp nghttpd; do
	command -v $program >/dev/null || skip "no $program"
done

host_up
container client 1 "app: client"
container server 2 "app: server"
container other 3 "app: other"
host_file client server other >host.yaml
mkdir raw
head -c 5000000 /dev/urandom >data
{ printf 'HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n'; cat data; } >raw/length
{ printf 'HTTP/1.1 200 OK\r\n\r\n'; cat data; } >raw/close
{ printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n'; cat data; printf '\r\n3\r\nabc\r\n0\r\n\r\n'; } >raw/chunked
{ printf 'HTTP/1.1 200 OK\r\nContent-Length: 4999999\r\n\r\n'; cat data; } >raw/over
{ printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4c4b3f\r\n'; cat data; printf '\r\n0\r\n\r\n'; } >raw/badchunk
{ printf 'HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n'; cat data; } >raw/half
a=${v4[server]}
spawn server "$HTTP" serve "$a" 80 --raw "$work/raw"
for x in "$a" "${v6[server]}"; do spawn server "$LOAD" serve "$x" 81; done
: >nothing
spawn server "$H2" serve "$a" 84 --play "$work/nothing"
# One that answers at once and reads no body, and one that takes a single request at a time.
echo 'status @ 200 end' >early
: >early.record
spawn server "$H2" serve "$a" 87 --play "$work/early" --settings "4=0 3=1000000" --record "$work/early.record"
spawn server "$H2" serve "$a" 88 --settings "3=1" --record "$work/single.record"
spawn server nghttpd --no-tls -w 0 --echo-upload -d "$work/raw" -a "$a" 85
listening server tcp 80 1
listening server tcp 81
listening server tcp 84 1
listening server tcp 85 1
listening server tcp 87 1
listening server tcp 88 1
# Nobody there: a SYN goes unanswered.
inside server ip rule add ipproto tcp sport 86 blackhole

compile web <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint other = app == "other";
endpoint server = app == "server";
policy client { allow to server on tcp 80, 81, 83-88; }
policy other { allow to server on tcp 81; }
policy server {
    allow from client on tcp 80, 83-88 http { allow GET, POST "/**"; deny * "/secret"; }
    allow from client, other on tcp 81 http { allow GET, POST "/**"; }
}
END

proxy() { # OPTION...: a proxy of our own, whose limits the test can wait for
	"$POLPROXY" --control "$POLC_PROXY_SOCKET" --log "$work/access.log" "$@" 2>proxy.err &
	proxy=$!
	for _ in {1..600}; do [ -S "$POLC_PROXY_SOCKET" ] && break; sleep 0.05; done
	"$POLLOAD" apply web.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
	worker=$(pgrep -P "$proxy")
}
another_proxy() { # OPTION...
	kill "$proxy"
	proxy_gone || not_ok "a proxy that is told to ends"
	proxy "$@"
}
proxy_gone() { for _ in {1..300}; do kill -0 "$proxy" 2>/dev/null || return 0; sleep 0.1; done; return 1; }
status() { # PORT TEXT: of one answer to a request in these bytes
	printf '%b' "$2" | inside client "$HTTP" ask "$a" "$1" --answers 1 --timeout 50 | sed -n '1s/^HTTP.1.1 \([0-9]*\).*/\1/p' | tr -d '\r'
}
count() { "$POLLOAD" status --json | jq ".proxy.$1"; }

proxy --body-max 1000000

h2_is() { # WHAT PORT WORDS FRAMES: these words come, whatever else
	h2_what+=("$1") h2_want+=("$3")
	printf '%b' "$4" | inside client "$H2" ask "$a" "$2" --want "$3" >"h2.${#h2_what[@]}" &
	h2_asks+=("$!")
}
h2_what=() h2_want=() h2_asks=()
h2_are() { # all that were begun
	local i got missing word
	wait "${h2_asks[@]}"
	for i in "${!h2_what[@]}"; do
		got=$(cat "h2.$((i + 1))") missing=
		for word in ${h2_want[i]}; do case " $got " in *" $word "*) ;; *) missing+=" $word" ;; esac; done
		is "HTTP/2: ${h2_what[i]}: ${h2_want[i]}" "$got without" "$got without$missing"
	done
	h2_what=() h2_want=() h2_asks=()
}
# A pipe that nobody reads, which is open for reading all the same.
mkfifo pipe
exec 7<>pipe
another_proxy --log "$work/pipe"
long=$(printf '%1000s' '' | tr ' ' a)
is "a log that nobody reads stops nobody: 300 are answered" "300 200" \
	"$(inside client curl -s -m 60 -o /dev/null -w '%{http_code}\n' "http://$a/$long/[1-300]" | sort | uniq -c | awk '{ print $1, $2 }')"
lost=$(count log_lost)
[ "$lost" -gt 0 ]
is "lines that have no room are counted ($lost)" 0 $?
timeout 1 cat pipe >drained
is "the others are there, whole" $((300 - lost)) "$(jq -r .status drained 2>&1 | grep -c '^200$')"
status 80 'GET /again HTTP/1.1\r\nHost: h\r\n\r\n' >/dev/null
is "and when it is read again, the next ones" /again "$(timeout 10 head -n 1 pipe | jq -r .path)"
exec 7>&-
finish
