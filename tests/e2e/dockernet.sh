#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Networks of polc (docker network create -d polc) beside a Docker engine of this test's own, and its
# default bridge: who may reach whom, HTTP rules, first instructions, what is refused, restarts without a device,
# and that nothing is left.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/engine.sh"
export POLPROXY=${POLPROXY:-$e2e_build/polproxy}
SNIFF=${SNIFF:-$e2e_build/tests/tools/sniff}

outside world
compile net <<'END'
default deny;
pool 10.88.0.0/16, 10.90.0.0/16, 10.210.0.0/16, fd88::/64, fd90::/64;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 80, 81; allow to world on tcp 98; }
policy server {
    allow from client on tcp 80 http { allow GET "/hello"; }
    allow from client on tcp 81;
}
END
live_restore="" # containers end with the engine
engine_start
images
agent_start

# ---- without a policy -------------------------------------------------------------------------------

d network create -d polc --ipv6 --subnet 10.90.0.0/24 --subnet fd90::/64 one
refused() { # WHAT TEXT COMMAND...
	local what=$1 text=$2
	shift 2
	run "$docker" "$@"
	is "$what: refused" yes "$([ "$code" != 0 ] && echo yes)"
	like "$what: says why" "$text" "$err"
}
refused "a container without a policy in force" "no policy is in force" run --rm --network one box:1 sleep 0
is "and nothing is left of it" "" "$(ip -o link | grep -o 'polc[0-9a-f][^:@]*')"
# shellcheck disable=SC2119 # no endpoint yet
host_file >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"

# ---- the default bridge, and a network of ours: layers 3, 4 and 7 --------------------------------------------

status() { # FROM ADDRESS PATH
	local seen
	for _ in 1 2 3 4 5 6; do
		seen=$(printf 'GET %s HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n' "$3" |
			"$docker" exec -i "$1" nc -w 2 "$2" 80 2>/dev/null | sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p')
		[ -z "$seen" ] || break
		sleep 0.3
	done
	echo "${seen:-none}"
}

declare -A at=()
for network in bridge one; do
	run_options=(--network "$network")
	box "server-$network" app=server -- serve
	box "client-$network" app=client -- sleep 1000
	box "other-$network" app=other -- sleep 1000
	at[$network.4]=$(address "server-$network" $network)
	at[$network.6]=$(address "server-$network" $network GlobalIPv6Address)
done
endpoints_are "six containers" \
	"client-bridge/bridge client-one/one other-bridge/bridge other-one/one server-bridge/bridge server-one/one"
for network in bridge one; do
	phase=$network
	for v in 4 6; do
		is "$phase, IPv$v: a request that may be" 200 "$(status client-$network "${at[$network.$v]}" /hello)"
		is "$phase, IPv$v: one that may not" 403 "$(status client-$network "${at[$network.$v]}" /secret)"
		reach open client-$network "${at[$network.$v]}" 81
		closed client-$network "${at[$network.$v]}" 82
		closed other-$network "${at[$network.$v]}" 80 81
	done
done
phase="from one network to the other"
reach open client-one "${at[bridge.4]}" 81
closed other-one "${at[bridge.4]}" 81
closed_so_far
is "status misses nothing of a network of ours" "" "$("$POLLOAD" status | grep 'MISSING.*polc')"
run_options=()

# ---- the first instruction -------------------------------------------------------------------------------

# What is sniffed inside the receivers: whatever comes there has come out of its sender.
sniffed() { # WHO
	cat "sniff.$1"
}
nsenter --net="/proc/$("$docker" inspect -f '{{.State.Pid}}' server-one)/ns/net" "$SNIFF" eth0 99 sniff.server &
nsenter --net="/run/netns/$test_name-world" "$SNIFF" eth0 99 sniff.world &
nsenter --net="/run/netns/$test_name-world" "$SNIFF" eth0 98 sniff.allowed &
for f in sniff.server sniff.world sniff.allowed; do until_is 0 cat $f; done
inside world "$PROBE" listen tcp "${v4[world]}" 98 >/dev/null &
hasty() { # ADDRESS PORT [OPTIONS...]
	"$docker" run --rm --label app=client "${@:3}" box:1 nc -w 1 "$1" "$2" >/dev/null 2>&1 &
	hasties+=($!)
}
hasties=()
for options in "" ,driver-opt=polc.label.app=client; do
	hasty "${at[one.4]}" 99 --network "name=one$options"
	hasty "${at[one.6]}" 99 --network "name=one$options"
	hasty "${v4[world]}" 99 --network "name=one$options"
done
hasty "${at[one.4]}" 99
hasty "${v4[world]}" 98 --network name=one,driver-opt=polc.label.app=client
wait "${hasties[@]}"
is "no denied packet of seven first instructions came to a neighbour" 0 "$(sniffed server)"
is "nor outside" 0 "$(sniffed world)"
until_is 0 grep -xc 0 sniff.allowed # it has been told of one
is "but allowed ones did" yes "$([ "$(sniffed allowed)" -gt 0 ] && echo yes)"

# ---- labels by options, several networks --------------------------------------------------------------------

d network create -d polc --ipam-driver polc two
d run -d --name opted --label app=other --network name=one,driver-opt=polc.label.app=client box:1 sleep 1000
phase="labels by options"
becomes "$phase: it has its name" 1 sh -c "\"$POLLOAD\" endpoints | grep -c '^opted/one '"
reach open opted "${at[one.4]}" 81
run_options=(--network container:opted)
box joiner app=third -- sleep 1000
phase="joined by one with other labels"
until_is 0 sh -c "\"$POLLOAD\" endpoints | grep -c '^opted/one '"
reach closed opted "${at[one.4]}" 81
d rm -f joiner opted
run_options=()
d network connect two client-one
d network connect two server-one
second=$(address server-one two)
like "addresses of the driver" "10.210." "$second"
until_is 1 sh -c "\"$POLLOAD\" endpoints | grep -c '^client-one/two '"
phase="on two networks of ours"
reach open client-one "$second" 81
reach open client-one "${at[one.4]}" 81
d network disconnect two client-one
becomes "left one" 0 sh -c "\"$POLLOAD\" endpoints | grep -c '^client-one/two '"
d network disconnect two server-one

# Names that begin alike are two.
run_options=(--network one)
for i in 1 2; do box mycompany-production-webfrontend-$i app=client -- sleep 1000; done
becomes "two of one long name: both are there" 2 \
	sh -c "\"$POLLOAD\" endpoints | grep -c '^mycompany-production-webfrontend-[12]/one '"
d rm -f mycompany-production-webfrontend-{1,2}
run_options=()

# Out of force and in again, and nobody but the driver hears of it; then the agent does.
# shellcheck disable=SC2016 # words of the inner shell
flock bpf/polc sh -c 'kill -STOP $1; until grep -q "^State:.T" /proc/$1/status; do :; done' sh "$agent_pid" # not with the lock
"$POLLOAD" remove >/dev/null || not_ok "remove"
"$POLLOAD" apply net.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
endpoints_are "removed and applied: those of ours are there again" "client-one/one other-one/one server-one/one"
phase="removed and applied"
reach open client-one "${at[one.4]}" 81
reach closed other-one "${at[one.4]}" 81
kill -CONT "$agent_pid"
endpoints_are "and with the agent all" \
	"client-bridge/bridge client-one/one other-bridge/bridge other-one/one server-bridge/bridge server-one/one"

# ---- what is refused ---------------------------------------------------------------------------------------------

made() { # NAME OPTIONS...
	refused "$1" "$2" network create -d polc "${@:3}" wrong
}
made "a gateway elsewhere" "first address of its subnet" --subnet 10.90.9.0/24 --gateway 10.90.9.9
made "a subnet that is in use" "overlaps" --subnet 10.90.0.128/25
made "a subnet without room" "length of 8 to 30" --ipam-driver polc --subnet 10.90.9.0/31
made "an unknown option" "is not known" --subnet 10.90.9.0/24 -o parent=eth0
made "--internal" "the policy says" --subnet 10.90.9.0/24 --internal
made "an auxiliary address" "auxiliary" --subnet 10.90.9.0/24 --aux-address x=10.90.9.4
refused "a published port" "ports cannot be published" run --rm --network one -p 8080:80 box:1 sleep 0
refused "an unknown option of a container" "is not known" run --rm --network name=one,driver-opt=polc.lable.a=b box:1 sleep 0
refused "a reserved label" "reserved" run --rm --network name=one,driver-opt=polc.label.docker.network=x box:1 sleep 0
d network create -d polc --ipam-driver polc --subnet 10.90.8.0/30 small
run_options=(--network small)
box first app=client -- sleep 1000
run_options=()
refused "more containers than addresses" "no address is left" run --rm --network small box:1 sleep 0
d rm -f first
d run --rm --network small --ip 10.90.8.2 box:1 sleep 0
refused "the gateway's address" "is taken" run --rm --network small --ip 10.90.8.1 box:1 sleep 0
is "devices are there for six endpoints and three networks" "3 3" \
	"$(ip -o link | grep -c ' polc[0-9a-f]') $(ip -o link | grep -c ' polcn')"

# ---- the engine ends with its containers and starts them again, on a host that has no device of them ---------------------

d rm -f client-one other-one server-one client-bridge other-bridge server-bridge
run_options=(--network one --restart always --stop-timeout 1)
box server app=server -- serve
box client app=client -- sleep 1000
d run -d --name opted --restart always --stop-timeout 1 --label app=other --network name=one,driver-opt=polc.label.app=client box:1 sleep 1000
endpoints_are "restarted always: three" "client/one opted/one server/one"
kill "$engine"
wait "$engine"
is "they ended with the engine, and their devices" "" "$(ip -o link | grep -o ' polc[0-9a-f][^:@]*')"
for link in $(ip -o link | sed -n 's/^[0-9]*: \(polcn[^:@]*\).*/\1/p'); do ip link del "$link"; done
# It answers nobody before all have been started: until then they are closed.
engine_start
endpoints_are "as after a reboot: three again" "client/one opted/one server/one"
phase="as after a reboot"
to=$(address server one)
reach open client "$to" 81
reach open opted "$to" 81
d rm -f client opted server

# ---- the plugin's own socket ----------------------------------------------------------------------------------------

calls() { # PATH [CURL OPTIONS]: status and answer
	curl -s -w '%{http_code}' --unix-socket $plugin "http://p$1" "${@:2}"
}
head -c 300000 /dev/zero | tr '\0' ' ' >long
like "what it implements" '"NetworkDriver","IpamDriver"' "$(calls /Plugin.Activate -d '')"
like "an unknown call" 404 "$(calls /NetworkDriver.Nothing -d '{}')"
like "not JSON" 400 "$(calls /NetworkDriver.Join -d '{')"
like "too long" 413 "$(calls /NetworkDriver.Join --data-binary @long)"
like "an id that is a path" "is no id" "$(calls /NetworkDriver.DeleteNetwork -d '{"NetworkID": "../../../../../../x"}')"
like "a terminal's escape is quoted" 'is no id' \
	"$(calls /NetworkDriver.DeleteNetwork -d '{"NetworkID": "\u001b[2J"}')"
is "and in the log" "" "$(grep -c $'\e' agent.log | grep -v '^0$')"
# An engine whose call was done and not answered calls again.
for turn in "is given" "is given again"; do
	like "a subnet that is named $turn" '"PoolID":"10.91.0.0/24"' "$(calls /IpamDriver.RequestPool -d '{"Pool": "10.91.0.0/24"}')"
	like "an address that is named $turn" '"Address":"10.91.0.9/24"' \
		"$(calls /IpamDriver.RequestAddress -d '{"PoolID": "10.91.0.0/24", "Address": "10.91.0.9"}')"
done
like "a part of that subnet is not" "overlaps" "$(calls /IpamDriver.RequestPool -d '{"Pool": "10.91.0.0/25"}')"
like "what nobody named" '"10.91.0.2/24"' "$(calls /IpamDriver.RequestAddress -d '{"PoolID": "10.91.0.0/24"}')"
like "is nobody else's" "is taken" "$(calls /IpamDriver.RequestAddress -d '{"PoolID": "10.91.0.0/24", "Address": "10.91.0.2"}')"
is "nobody but root comes there" 600 "$(stat -c %a $plugin)"
# One that the engine never takes is held, and when its interface goes, nothing is left.
hooks() { all_there_is | sed -n 's/^hooks //p'; }
before=$(hooks)
like "an endpoint that nobody takes" '"Interface"' "$(calls /NetworkDriver.CreateEndpoint -d "{\"NetworkID\": \"$("$docker" network inspect -f '{{.Id}}' one)\",
	\"EndpointID\": \"$(printf 'ab%.0s' {1..32})\", \"Interface\": {\"Address\": \"10.90.0.99/24\", \"MacAddress\": \"02:42:0a:5a:00:63\"}}")"
is "is held" $((before + 1)) "$(hooks)"
ip link del "$(ip -br link | sed -n 's/^polcp\([0-9a-f]*\)@.*/polc\1/p')"
becomes "nothing is left of it" "$before" hooks

# ---- nothing is left -----------------------------------------------------------------------------------------------

endpoints_are "all have gone" ""
d network rm one two small
is "no device is left" "" "$(ip -o link | grep ' polc')"
is "no route" "" "$(ip route show proto 113; ip -6 route show proto 113)"
is "no hook" 1 "$("$POLLOAD" status --json | jq '.hooks.there // 1')"
kill "$agent_pid"
wait "$agent_pid"
is "the agent ends when asked" 0 "$?"
is "and its socket goes" no "$([ -e $plugin ] && echo yes || echo no)"
finish
