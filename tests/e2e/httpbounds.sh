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

# ---- large bodies ------------------------------------------------------------------------

for how in length close chunked over half badchunk; do
	inside client curl -s -m 60 -o got "http://$a/raw/$how"
	code=$?
	case $how in
	length | close) cmp -s got data; is "5 MB, $how: whole" "0 0" "$code $?" ;;
	chunked) { cat data; printf abc; } | cmp -s got -; is "5 MB, chunked: whole" "0 0" "$code $?" ;;
	over)
		head -c "$(stat -c %s got)" data | cmp -s got -
		is "nothing beyond the length passes" "0 true" "$? $([ "$(stat -c %s got)" -lt 5000000 ] && echo true)" ;;
	half) is "a body that ends early is no whole one" true "$([ $code != 0 ] && echo true)" ;;
	badchunk) is "nor is a chunk that is longer than it says" true "$([ $code != 0 ] && echo true)" ;;
	esac
done
is "a body up, by length" 200 "$(inside client "$LOAD" put "$a" 81 /x 1000000 | cut -d' ' -f1)"

# ---- each status of our own ------------------------------------------------------------------

is "413: a body that is longer than it may be" 413 \
	"$(status 80 'POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000001\r\n\r\n')"
is "413: chunks that are longer than they may be" 413 \
	"$({ printf 'POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n'; cat data; } |
		inside client "$HTTP" ask "$a" 80 --answers 1 --timeout 50 2>/dev/null | sed -n '1s/^HTTP.1.1 \([0-9]*\).*/\1/p')"
is "431: a head without end" 431 "$(status 80 "GET /x HTTP/1.1\r\nHost: h\r\nX: $(printf '%17000s' '' | tr ' ' a)")"
is "502: nobody listens" 502 "$(status 83 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n')"
gen=$("$POLLOAD" status --json | jq '.generation')
{ printf 'GET /1 HTTP/1.1\r\nHost: h\r\n\r\n'; until [ -e forgotten ]; do sleep 0.05; done
  printf 'GET /2 HTTP/1.1\r\nHost: h\r\n\r\n'; } |
	inside client "$HTTP" ask "$a" 81 --answers 2 --timeout 50 >answer &
asking=$!
for _ in {1..600}; do grep -q '"path":"/1"' access.log && break; sleep 0.05; done
"$LOAD" forget "$POLC_PROXY_SOCKET" "$gen"
: >forgotten
wait $asking
is "503: a policy that the proxy does not have" "200 503" "$(grep -ao 'HTTP/1.1 [0-9]*' answer | cut -d' ' -f2 | paste -sd' ')"
# As in an apply: another is there before the one is forgotten, by which the flow was judged.
"$POLLOAD" proxy >/dev/null || not_ok "tells it again"
pins=$POLC_BPFFS/gen_$gen
"$LOAD" teach "$POLC_PROXY_SOCKET" 999 "$pins"/{http,ep_info,ep_by_addr} "$POLC_BPFFS/proxy_flows" || not_ok "teach"
"$LOAD" forget "$POLC_PROXY_SOCKET" "$gen"
is "a request that came before another policy took the place of its own is judged" 200 "$(status 81 'GET /late HTTP/1.1\r\nHost: h\r\n\r\n')"
for _ in {1..100}; do
	late=$(status 81 'GET /late HTTP/1.1\r\nHost: h\r\n\r\n')
	[ "$late" = 200 ] || break
	sleep 0.1
done
is "but not for long" 503 "$late"
"$POLLOAD" proxy >/dev/null || not_ok "tells it again"
is "and told of it again it serves" 403 "$(status 80 'GET /secret HTTP/1.1\r\nHost: h\r\n\r\n')"

# ---- who is late, and the same over HTTP/2 -----------------------------------------------------

# Most of these wait for a time to pass: all at once.
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

# Each by a proxy that is impatient in this alone: with heads and bodies here, with whatever does not move then.
another_proxy --body-max 1000000 --timeout head=1 --timeout body=1
h2_is "413: a body that is longer than it may be" 84 "1:413" 'request 1 POST /sink\n+ content-length: 1000001\n'
h2_is "resets that name no error are as many as others" 84 "goaway=ENHANCE_YOUR_CALM over" \
	"$(for ((i = 1; i < 800; i += 2)); do printf 'request %d GET /play end\nrst %d 0\n' $i $i; done)\n"
h2_is "a head that takes too long ends the connection" 84 "goaway=ENHANCE_YOUR_CALM over" \
	'request 1 HEAD /x end\nwait 1\nhead 3\n+ :method: GET\nopen\n'
is "408: a head that takes too long" 408 "$(status 80 'GET /x HTTP/1.1\r\nHo')"
is "408: a body that comes too slowly" 408 "$(status 80 'POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc')"
h2_are

unread() { # N: frames of N requests, 50 at a time, whose answer comes before their bodies are read
	local i
	printf 'request 1 GET /play end\nwait 1\n' # behind the server's SETTINGS
	for ((i = 3; i < 2 * $1 + 3; i += 2)); do
		printf 'request %d POST /play\ndata %d end x\n' $i $i
		[ $((i % 100)) != 1 ] || echo "wait $i"
	done
}
# They are over for the client, and the server still has them: 200 of those, no more.
{ unread 300; echo "until $work/left"; } | inside client "$H2" ask "$a" 87 --timeout 0 >unread.seen &
asking=$!
for _ in {1..400}; do [ "$(grep -c '^part$' early.record)" -lt 100 ] || break; sleep 0.05; done
is "HTTP/2: of 300 requests whose bodies the server does not read it loses 100" 100 "$(grep -c '^part$' early.record)"
: >left
wait $asking
is "and each is answered" 301 "$(grep -o ':200' unread.seen | wc -l)"

# Requests that the client takes back while the server has no room for them, 14 KB each: none of them is kept.
rss() { awk '/^RssAnon/ { print $2 }' "/proc/$worker/status"; }
before=$(rss)
asked=$(count requests)
{ printf 'request 1 POST /one\nsleep 100\n'
  for ((i = 3; i < 603; i += 2)); do printf 'request %d GET /x end\n+ x: {y*14000}\nrst %d 8\n' $i $i; done
  printf 'request 603 GET /two end\nrequest 605 GET /three end\nping\nuntil %s/seen\ndata 1 end x\n' "$work"; } |
	inside client "$H2" ask "$a" 88 --want "1:200 603:200 605:200" --timeout 0 >single.seen &
asking=$!
for _ in {1..400}; do [ "$(count requests)" -lt $((asked + 303)) ] || break; sleep 0.05; done
grown=$(($(rss) - before))
[ "$grown" -lt 1024 ]
is "HTTP/2: 300 requests taken back, while the server has no room for them, hold $grown KiB" 0 $?
: >seen
wait $asking
is "and those that wait are answered in their turn" "1:200 603:200 605:200" "$(grep -o '[0-9]*:200' single.seen | paste -sd' ')"
is "the server has seen no other" "/one /two /three" "$(sed -n 's/^  :path: //p' single.record | paste -sd' ')"

another_proxy --body-max 1000000 --timeout idle=2 --timeout connect=1
h2_is "requests whose bodies the server does not read end, and so does the connection" 87 \
	"101:200 goaway=NO_ERROR over" "$(unread 50)\n"
h2_is "408: a body that comes too slowly" 84 "1:408" 'request 1 POST /sink\ndata 1 abc\n'
h2_is "504: a server that does not answer" 84 "1:504" 'request 1 GET /play end\n'
h2_is "504: one that does not accept" 86 "1:504" 'request 1 GET /x end\n'
h2_is "502: nobody listens" 83 "1:502" 'request 1 GET /x end\n'
h2_is "504: a server whose window stays closed" 85 "3:504" 'request 1 GET /x end\nwait 1\nrequest 3 POST /x\ndata 3 end abc\n'
h2_is "a client whose window stays closed loses the stream" 84 "1:200 1:rst=CANCEL" \
	'settings 4=0\nrequest 1 GET /x end\n'
h2_is "one that says nothing any more loses the connection" 84 "1:200 goaway=NO_ERROR over" 'request 1 GET /x end\n'
is "504: a server that does not answer" 504 "$(status 81 'GET /never HTTP/1.1\r\nHost: h\r\n\r\n')"
is "504: one that does not accept" 504 "$(status 86 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n')"
h2_are
is "each of those is in the log" 50 "$(grep -c '"reason":"the server does not read the request"' access.log)"

upload() { # BYTES, whose number is not announced: the status
	head -c "$1" data >body
	inside client nghttp -v --no-content-length -d body -H ':method: POST' "http://$a:84/sink" |
		sed -n 's/.*:status: \([0-9]*\).*/\1/p'
}
is "HTTP/2: a body as long as it may be" 200 "$(upload 1000000)"
is "HTTP/2: 413: one that becomes too long" 413 "$(upload 1000001)"

# ---- the log ------------------------------------------------------------------------------------

line=$(grep '"path":"/secret"' access.log | tail -1)
is "a line has who, what and which rule" \
	"$a 80 server 10.66.1.2 client GET h /secret deny web.pol 9 403 ingress" \
	"$(jq -r '[.destination.address, .destination.port, .destination.name, .source.address, .source.name,
		.method, .host, .path, .verdict, .file, .line, .status, .direction] | join(" ")' <<<"$line")"
is "when, and what was sent on" "true 0 0" \
	"$(jq -r '[(.time | test("^20[0-9-]+T[0-9:.]+Z$")), .sent, .received] | join(" ")' <<<"$line")"
is "an allowed one has its bytes and how long it took" "5000044 true true" \
	"$(grep '"path":"/raw/length"' access.log | tail -1 |
		jq -r '[.received, .ms >= .answer_ms, .sent > 60] | join(" ")')"
is "every line is JSON" 0 "$(jq -e . access.log >/dev/null 2>&1; echo $?)"

# What a worker answers when nobody waits for it any more is no answer to the next question.
before=$(count requests)
kill -STOP "$worker"
is "a worker that does not answer is not counted" 0 "$(count workers)"
kill -CONT "$worker"
status 80 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n' >/dev/null
is "and its late answer is none to the next question" $((before + 1)) "$(count requests)"

# A pipe that nobody reads, which is open for reading all the same.
mkfifo pipe
exec 7<>pipe
another_proxy --log "$work/pipe"
long=$(printf '%1000s' '' | tr ' ' a)
is "a log that nobody reads stops nobody: 300 are answered" "300 200" \
	"$(inside client timeout 60 curl -s -o /dev/null -w '%{http_code}\n' "http://$a/$long/[1-300]" | sort | uniq -c | awk '{ print $1, $2 }')"
lost=$(count log_lost)
[ "$lost" -gt 0 ]
is "lines that have no room are counted ($lost)" 0 $?
timeout 1 cat pipe >drained
is "the others are there, whole" $((300 - lost)) "$(jq -r .status drained 2>&1 | grep -c '^200$')"
status 80 'GET /again HTTP/1.1\r\nHost: h\r\n\r\n' >/dev/null
is "and when it is read again, the next ones" /again "$(timeout 10 head -n 1 pipe | jq -r .path)"
exec 7>&-

# ---- a reader that does not read ---------------------------------------------------------------

kill "$proxy"
is "SIGTERM without a request under way: it ends" 0 "$(proxy_gone; echo $?)"
proxy
acked() { inside server ss -Htin state established '( sport = :81 )' | grep -o 'bytes_acked:[0-9]*' | cut -d: -f2 | awk '{ s += $1 } END { print s + 0 }'; }
before=$(rss)
spawn client "$LOAD" stall "$a" 81 /bytes/536870912 20
staller=$spawned
seen=-1
for _ in {1..300}; do
	now=$(acked)
	[ "$now" != "$seen" ] || [ "$now" = 0 ] || break
	seen=$now
	sleep 0.5
done
[ "$seen" -gt 0 ] && [ "$seen" -lt $((20 * 8 * 1048576)) ]
is "20 who do not read 512 MiB: less than 8 MiB each leave the server ($((seen / 20480)) KiB)" 0 $?
grown=$(($(rss) - before))
[ "$grown" -lt 2048 ]
is "and the proxy holds a buffer each ($grown KiB)" 0 $?
is "others are served" 200 "$(status 81 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n')"
kill "$staller"

# ---- those who are slow, and those who are many --------------------------------------------------

# What the proxy lets others have, not what is left of the machine's time: they ask as often beside the
# attackers as without, far below what the machine can do.  Nobody's machine is ours alone: a round in
# which it was busy proves nothing.
answered() { inside other "$LOAD" pace "$a" 81 /x 4 2000 1000 | cut -d' ' -f2; }
not_slower() { # WHAT
	local alone with
	for _ in 1 2 3 4 5; do
		with=$(answered)
		kill -STOP "$attacker"
		alone=$(answered)
		kill -CONT "$attacker"
		[ "$alone" -lt 1000 ] || [ $((with * 2)) -lt "$alone" ] ||
			{ ok "$1 do not slow others by more than half ($with beside $alone of 2,000)"; return; }
	done
	not_ok "$1 do not slow others by more than half" "$with beside $alone of 2,000 requests"
}
spawn client "$LOAD" open "$a" 81 1000 $'GET /x HTTP/1.1\r\nHo'
attacker=$spawned
for _ in {1..600}; do [ "$(count open)" -lt 900 ] || break; sleep 0.1; done
not_slower "1,000 clients that never end their head"
kill "$attacker"
spawn client "$LOAD" open "$a" 81 1000
attacker=$spawned
for _ in {1..600}; do [ "$(count open)" -lt 900 ] || break; sleep 0.1; done
before=$(rss)
not_slower "1,000 clients that say nothing"
kill "$attacker"
before=$(count connections)
spawn client "$LOAD" storm "$a" 81 120000
attacker=$spawned
for _ in {1..600}; do [ $(($(count connections) - before)) -lt 5000 ] || break; sleep 0.1; done
not_slower "a storm of clients that connect and reset"
stormed=$(($(count connections) - before))
kill "$attacker"
[ $stormed -ge 5000 ]
is "of which there were many ($stormed)" 0 $?

# ---- a request under way -------------------------------------------------------------------------

before=$(count requests)
{ printf 'POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc'
  until [ -e told ]; do sleep 0.05; done
  sleep 1
  printf def; } |
	inside client "$HTTP" ask "$a" 81 --answers 1 --timeout 50 >answer &
asking=$!
for _ in {1..600}; do [ "$(count requests)" -le "$before" ] || break; sleep 0.05; done
kill "$proxy"
: >told
wait $asking
is "SIGTERM: the request under way is answered" 200 "$(sed -n '1s/^HTTP.1.1 \([0-9]*\).*/\1/p' answer)"
is "then it ends" 0 "$(proxy_gone; echo $?)"
is "and nothing passes any more" "000" "$(inside client curl -s -o /dev/null -w '%{http_code}' -m 1 "http://$a/x")"
finish
