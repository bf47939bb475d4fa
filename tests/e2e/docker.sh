#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# polc-agent beside a Docker engine of this test's own: containers on its default bridge come, go,
# are renamed, join networks and namespaces; the agent is restarted.
. "$(dirname "$0")/lib.sh"
# shellcheck source=engine.sh
. "$e2e_tree/tests/e2e/engine.sh"

export POLPROXY=${POLPROXY:-$e2e_build/polproxy}
outside world
compile net <<'END'
default deny;
pool 10.88.0.0/16, 10.89.0.0/16, fd88::/64;
endpoint client = app == "client";
endpoint server = app == "server";
endpoint back = app == "server" and docker.network == "back";
policy client { allow to server on tcp 80; allow to back on tcp 81; }
policy server { allow from client on tcp 80; }
policy back { allow from client on tcp 81; }
endpoint shown = app == "public";
policy shown {
    allow from world on tcp 80 http { allow GET "/hello"; }
    allow from host on tcp 80 http { allow GET "/host"; }
}
END

# ---- an engine and an agent ---------------------------------------------------------------------

engine_start
images
agent_start
# shellcheck disable=SC2119 # no endpoint yet
host_file >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null || bail "apply"

# ---- containers come ----------------------------------------------------------------------------

box server app=server -- serve
box client app=client -- sleep 1000
box other app=other -- sleep 1000
endpoints_are "three containers" "client/bridge other/bridge server/bridge"
to=$(address server) to6=$(address server bridge GlobalIPv6Address)
phase="started"
reach open client "$to" 80
reach open client "$to6" 80
reach closed client "$to" 81
reach closed other "$to" 80
reach closed other "$to6" 80
out=$("$POLLOAD" endpoints --json)
like "facts are labels" '"docker.network": "bridge"' "$out"

# What an image says of itself decides nothing.
d run -d --name boaster labelled:1 sleep 1000
endpoints_are "one of an image with labels" "boaster/bridge client/bridge other/bridge server/bridge"
phase="labels of an image"
reach closed boaster "$to" 80

# The first instruction sends what is denied: nothing arrives.
received() { # IPv4 packets that a container has got
	nsenter --net="/proc/$("$docker" inspect -f '{{.State.Pid}}' "$1")/ns/net" \
		sed -n 's/^Ip: [0-9]* [0-9]* \([0-9]*\) .*/\1/p' /proc/net/snmp
}
before=$(received server)
box hasty app=other -- early "$to"
endpoints_are "a hasty one" "boaster/bridge client/bridge hasty/bridge other/bridge server/bridge"
sleep 1
is "no packet of its first instruction has arrived" "$before" "$(received server)"
d rm -f hasty boaster other
endpoints_are "three have gone" "client/bridge server/bridge"

# ---- they change ----------------------------------------------------------------------------------

# Its connection outlives the new name.
"$docker" exec client sh -c "(echo 'GET /hello HTTP/1.0'; until [ -e /renamed ]; do sleep 1; done; echo; sleep 3) | nc $to 80" >stream 2>&1 &
stream=$!
until_is 1 sh -c "\"$POLLOAD\" flows | grep -c established"
d rename client renamed
endpoints_are "renamed" "renamed/bridge server/bridge"
phase="renamed"
reach open renamed "$to" 80
d exec renamed sh -c ': >/renamed'
wait "$stream"
like "an open connection goes on" hello "$(cat stream)"
d network create back
d network connect back server
d network connect back renamed
endpoints_are "on two networks" "renamed/back renamed/bridge server/back server/bridge"
back=$(address server back)
phase="a second network"
reach open renamed "$back" 81
reach closed renamed "$to" 81
d network disconnect back renamed
endpoints_are "left one" "renamed/bridge server/back server/bridge"

# A second container in the same namespace, with other labels: whose packet is it?  Nobody's.
# Before it has started: its first instruction could send.
run_options=(--network container:renamed)
d create --name joiner --label app=other "${run_options[@]}" box:1 sleep 1000
endpoints_are "one with other labels is about to join: closed" "server/back server/bridge"
d start joiner
phase="joined"
reach closed renamed "$to" 80
d rm -f joiner
endpoints_are "alone again" "renamed/bridge server/back server/bridge"
phase="alone again"
reach open renamed "$to" 80
box twin app=client -- sleep 1000
sleep 1
phase="joined by one of the same labels"
reach open twin "$to" 80
# By way of it: the labels differ as before, and nothing lists the way once the twin has gone.
run_options=()
d create --name joiner --label app=other --network container:twin box:1 sleep 1000
endpoints_are "one with other labels is about to join by the twin: closed" "server/back server/bridge"
d start joiner
d rm -f twin
: >agent.log
kill -HUP "$agent_pid"
becomes "it has joined, the twin is gone: whose it is the kernel says" yes \
	sh -c "grep -q 'container joiner with other labels' agent.log && echo yes"
endpoints_are "closed as before" "server/back server/bridge"
phase="joined by way of a twin"
reach closed joiner "$to" 80
d rm -f joiner
endpoints_are "alone once more" "renamed/bridge server/back server/bridge"

# Names that begin alike, in full as long as there is room, then apart by what stands between container and network.
long="a-network-with-a-name-of-more-than-thirty-two-bytes"
replica=mycompany-production-webfrontend
d network create "$long"
for i in 1 2; do
	box $replica-$i app=client -- sleep 1000
	d network connect "$long" $replica-$i
done
# shellcheck disable=SC2317 # called by becomes
alike() { # endpoints: how many, of how many names
	"$POLLOAD" endpoints --json | jq -r '[.[].name | select(startswith("mycompany-"))] | "\(length) \(unique | length)"'
}
becomes "two replicas on two networks have four names" "4 4" alike
like "in full" "$replica-1/bridge $replica-2/bridge" "$(names)"
is "or shortened" 2 "$(names | grep -o 'mycompany-production-webfro~[0-9a-f]\{8\}/a-network-with-a-name-of-m ' | wc -l)"
phase="names alike"
reach open $replica-1 "$to" 80
reach open $replica-2 "$to" 80
before=$(names)
kill "$agent_pid"
wait "$agent_pid"
agent_start
d rename $replica-1 short
until_is yes sh -c "\"$POLLOAD\" endpoints --json | grep -q short/bridge && echo yes"
is "another agent finds them again, and another name" "$(tr ' ' '\n' <<<"$before" | grep -c "$replica-2\|~")" \
	"$(names | tr ' ' '\n' | grep -c "$replica-2\|~\|short/a-net")"
d rm -f short $replica-2
d network rm "$long"
endpoints_are "they have gone" "renamed/bridge server/back server/bridge"

# ---- published ports -----------------------------------------------------------------------------------

# By translation the sender is who it is, by docker-proxy it is this host: both are judged, requests too.
d run -d --name public --label app=public -p 192.0.2.1:8080:80 -p 127.0.0.1:8081:80 box:1 serve
endpoints_are "with published ports" "public/bridge renamed/bridge server/back server/bridge"
status() { # COMMAND...: of one request
	"$@" curl -s -o answer -w '%{http_code}' -m "${patience:-30}" "$url" || true
}
is "docker-proxy is there" yes "$(pgrep -f 'docker-proxy.*8081' >/dev/null && echo yes)"
url=http://192.0.2.1:8080/hello
is "from outside: a request that may be" 200 "$(status nsenter --net="/run/netns/$test_name-world")"
url=http://192.0.2.1:8080/www
is "from outside: one that may not" 403 "$(status nsenter --net="/run/netns/$test_name-world")"
url=http://127.0.0.1:8081/hello
is "by docker-proxy, as this host: a request that may not be" 403 "$(status)"
url=http://127.0.0.1:8081/host
is "by docker-proxy: one that may" 404 "$(status)"
d rm -f public

# With `option host open` everybody could come as this host: such a container stays closed.
sed 's/^default deny;/default deny; option host open;/' net.pol | compile open
"$POLLOAD" apply open.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
d run -d --name public --label app=public -p 127.0.0.1:8081:80 box:1 serve
becomes "with host open and docker-proxy: refused" yes \
	sh -c "grep -q 'public/bridge refused, .*docker-proxy' agent.log && echo yes"
url=http://127.0.0.1:8081/hello
is "and closed" 000 "$(patience=3 status)"
d rm -f public
"$POLLOAD" apply net.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# ---- the agent restarts -----------------------------------------------------------------------------

kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null
phase="no agent"
reach open renamed "$to" 80
reach closed renamed "$to" 81
d rm -f renamed
box late app=client -- sleep 1000
agent_start
endpoints_are "an agent that has missed something" "late/bridge server/back server/bridge"
phase="an agent again"
reach open late "$to" 80
reach closed late "$to" 81

# Out of force and in again: nothing hangs on their interfaces any more, and no event tells.
"$POLLOAD" remove >/dev/null || not_ok "remove"
"$POLLOAD" apply net.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
endpoints_are "removed and applied: all are there again" "late/bridge server/back server/bridge"
phase="removed and applied"
reach open late "$to" 80
reach closed late "$to" 81
d rm -f late server
endpoints_are "all have gone" ""
kill "$agent_pid"
wait "$agent_pid"
is "the agent ends when asked" 0 "$?"
"$POLLOAD" remove >/dev/null || not_ok "remove"
finish
