#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Everything that can happen to a packet or a request, once each: the monitor names the right rule
# and reason, and the counters agree with it and with what was sent.
. "$(dirname "$0")/lib.sh"
HTTP=${HTTP:-$e2e_build/tests/tools/http} FRAME=${FRAME:-$e2e_build/tests/tools/frame}
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}

container client 1 "app: client"
container server 2 "app: server"
host_file client server >host.yaml
spawn server "$HTTP" serve "${v4[server]}" 80
listening server tcp 80 1
serve server tcp 7000
compile see <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server; }
policy server {
    allow from client on tcp 7000;
    deny from client on tcp 7001;
    reject from client on tcp 7002;
    allow from client on udp 7003 limit 1/s burst 2;
    allow from client on tcp 80 http {
        allow GET "/products/**";
        deny * "/products/secret";
    }
}
END
"$POLLOAD" apply see.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
mac=$(ip -o link show v-client | sed "s/.*link.ether \([^ ]*\).*/\1/")
frames() { # PORT KIND COUNT
	inside client "$FRAME" eth0 "$mac" "${v4[client]}" "${v4[server]}" "$@" >/dev/null
}
ask() { # PATH [HOW...]
	local path=$1
	shift
	inside client curl -s -o /dev/null -w '%{http_code}' -m 30 --path-as-is "$@" "http://${v4[server]}$path"
}
seen() { # JQ-CONDITION [NUMBER]: so many events, waiting for them
	local i n
	for ((i = 0; i < 600; i++)); do
		n=$(jq -s "map(select($1) | .count) | add // 0" events 2>/dev/null)
		[ "$n" = "${2:-1}" ] && break
		sleep 0.05
	done
	echo "$n"
}
line() { # TEXT: where it stands in the policy
	grep -nF -- "$1" see.pol | cut -d: -f1
}

"$POLLOAD" monitor --json --each >events &
watcher=$!
begun events

# ---- one of each ------------------------------------------------------------------------

is "an allowed connection" open "$(inside client "$PROBE" connect tcp "${v4[server]}" 7000 --timeout 20000)"
is "a denied one" timeout "$(inside client "$PROBE" connect tcp "${v4[server]}" 7001 --timeout 300)"
is "a rejected one" refused "$(inside client "$PROBE" connect tcp "${v4[server]}" 7002 --timeout 20000)"
frames 7009 udp 3
frames 7003 spread udp 5
frames 7000 fragment 2
frames 7000 truncated 4
is "GET of an allowed path" 200 "$(ask /products/1)"
is "of a denied one" 403 "$(ask /products/secret)"
is "of none that a line names" 403 "$(ask /else)"
is "of none that is canonical" 400 "$(ask /products//x)"

is "allowed: by its rule" 1 "$(seen ".verdict == \"allow\" and .to.port == 7000 and .rule.line == $(line 'tcp 7000')")"
is "and the other end's" 1 "$(seen ".to.port == 7000 and .other_rule.line == $(line 'allow to server')")"
denied=$(seen ".to.port == 7001" "$(jq -s 'map(select(.to.port == 7001)) | length' events)")
is "denied: by its rule, each" "$denied" "$(seen ".verdict == \"deny\" and .reason == \"policy\" and .to.port == 7001 and .rule.line == $(line 'tcp 7001') and .from.endpoint == \"client\"" "$denied")"
is "rejected: by its rule" 1 "$(seen ".verdict == \"reject\" and .reason == \"reject\" and .to.port == 7002 and .rule.line == $(line 'tcp 7002')")"
is "denied by default: by what closes the policy" 3 "$(seen ".verdict == \"deny\" and .to.port == 7009 and .rule.implicit == \"closed\" and .rule.line == $(line 'policy server')" 3)"
is "a limit lets its burst pass" 2 "$(seen ".verdict == \"allow\" and .to.port == 7003 and .protocol == \"udp\"" 2)"
is "and drops the rest: by its rule" 3 "$(seen ".verdict == \"drop\" and .reason == \"limit\" and .to.port == 7003 and .rule.line == $(line 'limit 1/s')" 3)"
is "a later fragment" 2 "$(seen ".verdict == \"drop\" and .reason == \"frag_unknown\" and .from.endpoint == \"client\" and .at == \"client\"" 2)"
is "a truncated packet" 4 "$(seen ".verdict == \"drop\" and .reason == \"truncated\" and .at == \"client\"" 4)"
is "200: by its line" 1 "$(seen ".event == \"http\" and .verdict == \"allow\" and .status == 200 and .path == \"/products/1\" and .http_line.line == $(line 'allow GET')")"
is "403: by its line" 1 "$(seen ".event == \"http\" and .verdict == \"deny\" and .status == 403 and .http_line.line == $(line 'deny *')")"
is "403: none matches" 1 "$(seen ".event == \"http\" and .verdict == \"deny\" and .path == \"/else\" and (.http_line | not) and .rule.line == $(line 'tcp 80 http')")"
is "400: why" 1 "$(seen '.event == "http" and .verdict == "refuse" and .status == 400 and (.why | length > 0)')"
kill -TERM "$watcher"
wait "$watcher"
is "monitor ends well" 0 $?
is "nothing was lost" 0 "$(jq -s '.[-1].lost.all' events)"
is "every line is JSON" true "$(jq -se 'length > 10' events)"

# ---- counters agree with it ------------------------------------------------------------------

# two are answered, by errors
for ((i = 0; i < 600; i++)); do
	"$POLLOAD" rules --json >rules.json
	[ "$(jq "map(select(.line == $(line 'limit 1/s')))[0].packets" rules.json)" = 7 ] && break
	sleep 0.05
done
hits() { # TEXT FIELD
	jq "map(select(.line == $(line "$1") and .policy == \"server\" and (.implicit | not))) | .[0].$2" rules.json
}
is "connections of the allow" 1 "$(hits 'tcp 7000' connections)"
is "packets of the deny" "$denied" "$(hits 'tcp 7001' packets)"
is "of the reject" 1 "$(hits 'tcp 7002' packets)"
is "connections of the limit" 2 "$(hits 'limit 1/s' connections)"
is "packets of the limit, dropped ones and answers too" 7 "$(hits 'limit 1/s' packets)"
is "the last hit is told" true "$(jq "map(select(.line == $(line 'tcp 7000')))[0].last | test(\"^20\")" rules.json)"
is "drops by reason" "3 2 4 1" \
	"$("$POLLOAD" status --json | jq -r '.drops | "\(.limit.packets) \(.frag_unknown.packets) \(.truncated.packets) \(.reject.packets)"')"
is "drops by policy" $((denied + 3)) "$("$POLLOAD" status --json | jq .drops.policy.packets)"
is "requests" "4 1 2 1" "$("$POLLOAD" status --json | jq -r '.proxy | "\(.requests) \(.allowed) \(.denied) \(.refused)"')"
is "no rule of these is unused" "" "$("$POLLOAD" rules --unused --json | jq -r '.[] | select(.policy == "server") | .text')"

# ---- filters -----------------------------------------------------------------------------------

# The first event that passes ends it; what does not pass would end it wrongly.
only() { # WHAT FILTER... : of three kinds of traffic just that
	local what=$1 pid i
	shift
	rm -f one
	"$POLLOAD" monitor --json --each --count 1 "$@" >one &
	pid=$!
	begun one
	frames 7008 udp 1
	frames 7000 truncated 1
	inside client "$PROBE" connect tcp "${v4[server]}" 7002 --timeout 20000 >/dev/null
	inside client "$PROBE" connect tcp "${v4[server]}" 7000 --timeout 20000 >/dev/null
	ask /else >/dev/null
	for ((i = 0; i < 600; i++)); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
	kill -TERM $pid 2>/dev/null
	wait $pid
	is "filter: $*" "$what" "$(jq -rs 'map(select(.count)) | map("\(.verdict) \(.reason // .status)") | join(",")' one)"
}
only "deny policy" deny
only "drop truncated" reason truncated
only "reject reject" rule "see.pol:$(line 'tcp 7002')"
only "reject reject" on tcp 7002
only "allow none" new from client to server on tcp 7000
only "deny 403" http from '[app=client]' to 10.66.2.0/24
only "deny policy" from client on udp

# ---- more than can be shown ----------------------------------------------------------------------

"$POLLOAD" monitor --json drop on udp 7007 --rate 100 >flood &
watcher=$!
"$POLLOAD" monitor --json drop on udp 7007 --rate 0 >flood0 &
other=$!
"$POLLOAD" monitor drop >text &
third=$!
begun flood
begun flood0
begun text
frames 7007 spread udp 20000
kill -TERM "$watcher" "$other" "$third"
wait "$watcher" "$other" "$third"
total() { jq -s '(map(.count // 0) | add) + (map(select(.event == "lost") | .all) | add // 0)' "$1"; }
is "shown and lost are what was sent, exactly" 20000 "$(total flood)"
is "and more was lost than shown" true "$(jq -s '.[-1] | .lost.all > .shown and .shown > 0' flood)"
is "its end says the same" 20000 "$(jq -s '.[-1] | .lost.all + .shown' flood)"
is "of another reader too" 20000 "$(total flood0)"
is "alike ones became few lines" true "$(jq -s 'map(select(.count)) | length < 300' flood0)"
is "text has few lines" true "$([ "$(wc -l <text)" -lt 300 ] && echo true)"
like "with how often" "times)" "$(cat text)"

# ---- more readers than places, and one that was killed ---------------------------------------------

pids=()
for ((n = 0; n < 8; n++)); do
	"$POLLOAD" monitor >"r$n" &
	pids+=($!)
done
for ((i = 0; i < 600; i++)); do
	[ "$("$POLLOAD" status --json | jq .event_readers)" = 8 ] && break
	sleep 0.05
done
run "$POLLOAD" monitor
is "a ninth reader is refused" 3 "$code"
like "by name" "8 others read the events already" "$err"
kill -KILL "${pids[3]}"
wait "${pids[3]}" 2>/dev/null
run "$POLLOAD" monitor --for 1
is "the place of one that was killed is free" 0 "$code"
kill -TERM "${pids[@]}" 2>/dev/null
wait "${pids[@]}" 2>/dev/null
is "readers leave nothing behind" 0 "$(find bpf -name 'reader_*' | grep -c .)"

# ---- top -----------------------------------------------------------------------------------------------

for every in 3 10 30; do # longer where the machine has no time
	"$POLLOAD" top --once --every $every >top.txt &
	pid=$!
	for ((i = 0; i < 600; i++)); do [ "$("$POLLOAD" status --json | jq .event_readers)" = 1 ] && break; sleep 0.05; done
	frames 7005 spread udp 40
	frames 7006 udp 3
	ask /products/2 >/dev/null
	kill -0 "$pid" 2>/dev/null && in_time=yes || in_time=
	wait "$pid"
	[ -z "$in_time" ] || break
done
is "top sorts drops" "40 3" "$(sed -n '/DROPS/,/REQUESTS/s/^ *\([0-9]*\) .*:700[56].*/\1/p' top.txt | xargs)"
like "names connections" "client 10.66.1.2 -> server 10.66.2.2:80" "$(sed -n '/CONNECTIONS/,/DROPS/p' top.txt)"
like "and requests" "/products/2" "$(sed -n '/REQUESTS/,$p' top.txt)"
is "top --json is JSON" true "$("$POLLOAD" top --json --every 1 | jq '.connections | length > 0')"
run "$POLLOAD" top
is "top without a terminal is refused" 2 "$code"
printf 'd\nq' | script -qec "stty cols 60 rows 12; exec '$POLLOAD' top --every 1" /dev/null >screen
is "on a terminal it comes and goes" yes "$(grep -q '?1049h' screen && grep -q '?1049l' screen && echo yes)"
is "and leaves no reader" 0 "$("$POLLOAD" status --json | jq .event_readers)"

# ---- names are data -----------------------------------------------------------------------------------

ask $'/products/%1b[31m\x01' >/dev/null
evil=$(printf 'a\033]0;x\007"b\302\233')
"$POLLOAD" endpoint add "$evil" interface=v-server address=10.66.2.9 >/dev/null 2>err
is "a name with escapes is refused" false "$([ -s err ] && echo false)"
is "and quoted where it is said" "" "$(tr -d '[:print:]\n\t' <err)"
"$POLLOAD" monitor --count 1 http >evil &
watcher=$!
begun evil
inside client curl -s -o /dev/null -m 5 -X $'B\x1bAD' "http://${v4[server]}/products/1"
inside client curl -s -o /dev/null -m 5 --path-as-is "http://${v4[server]}/%1B%5B2J"
for ((i = 0; i < 600; i++)); do kill -0 "$watcher" 2>/dev/null || break; sleep 0.05; done
kill -TERM "$watcher" 2>/dev/null
wait "$watcher"
is "nothing of a request reaches the terminal as it is" "" "$(tr -d '[:print:]\n\t' <evil)"

# ---- why ---------------------------------------------------------------------------------------------------

why() { # WORD LINE FLOW...
	local word=$1 line=$2
	shift 2
	run "$POLLOAD" why "$@" --json
	is "why $*: $word, by line $line" "$word $line" \
		"$(jq -r '"\(.verdict) \(.ingress.request.line // .ingress.rule.line)"' <<<"$out")"
}
why allow "$(line 'tcp 7000')" from client to server on tcp 7000
why deny "$(line 'tcp 7001')" from client to server on tcp 7001
why reject "$(line 'tcp 7002')" from '[app=client]' to 10.66.2.2 on tcp 7002
why deny "$(line 'policy server')" from client to server on udp 7009
why allow "$(line 'allow GET')" from client to server on tcp 80 GET /products/1
why deny "$(line 'deny *')" from client to server on tcp 80 GET /products/secret
run "$POLLOAD" why from client to server on tcp 7001
is "why: exit code 1 for what is denied" 1 "$code"
run "$POLLOAD" why from nobody to server on tcp 1
is "why: 2 for names that nobody has" 2 "$code"
counts() { "$POLLOAD" rules --json | jq -c 'map(.packets)'; }
for ((i = 0; i < 20; i++)); do # connections may end meanwhile
	before=$(counts)
	"$POLLOAD" why from client to server on tcp 7000 >/dev/null
	after=$(counts)
	[ "$before" != "$after" ] || break
done
is "why counted nothing" "$before" "$after"
finish
