#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Containers come and go, one after the other and many at once, on the default bridge and on a network
# of polc; meanwhile agent and engine are killed and come again.  Nothing denied gets through, what is allowed
# goes on, and nothing is left.
#   CHURN_TURNS=N (8)  one after the other      CHURN_ONCE=N (4)  at once
# make check-churn: 200 and 20.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/engine.sh"
SNIFF=${SNIFF:-$e2e_build/tests/tools/sniff}
turns=${CHURN_TURNS:-8} once=${CHURN_ONCE:-4}

compile net <<'END'
default deny;
pool 10.88.0.0/16, 10.90.0.0/16, fd88::/64, fd90::/64;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 80; }
policy server { allow from client on tcp 80; }
END
engine_start
images
agent_start
# shellcheck disable=SC2119 # no endpoint yet
host_file >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >out 2>&1 || bail "apply: $(cat out)"
d network create -d polc --ipv6 --subnet 10.90.0.0/24 --subnet fd90::/64 one

# ---- who stays ------------------------------------------------------------------------------------

for network in bridge one; do
	run_options=(--network "$network")
	box "server-$network" app=server -- serve
	to=$(address "server-$network" "$network")
	box "client-$network" app=client -- \
		sh -c "while :; do printf 'GET /hello HTTP/1.0\r\n\r\n' | nc -w 2 $to 80; sleep 0.5; done"
	box "other-$network" app=other -- sh -c "while :; do nc -w 1 $to 99 & nc -w 1 $to 80 & sleep 1; done"
	nsenter --net="/proc/$("$docker" inspect -f '{{.State.Pid}}' "server-$network")/ns/net" \
		"$SNIFF" eth0 99 "sniff.$network" &
done
run_options=()
stay="client-bridge/bridge client-one/one other-bridge/bridge other-one/one server-bridge/bridge server-one/one"
endpoints_are "six stay" "$stay"

hellos() { # answers that the clients have got
	echo "$("$docker" logs client-bridge 2>/dev/null | grep -c hello) $("$docker" logs client-one 2>/dev/null | grep -c hello)"
}
goes_on() { # WHAT: both get more answers than before
	local before now
	before=$(hellos)
	for _ in {1..300}; do
		now=$(hellos)
		[ "${now% *}" -gt "${before% *}" ] && [ "${now#* }" -gt "${before#* }" ] && break
		sleep 0.1
	done
	is "$1: what is allowed goes on" yes \
		"$([ "${now% *}" -gt "${before% *}" ] && [ "${now#* }" -gt "${before#* }" ] && echo yes)"
}

goes_on "to begin with"
all_there_is >before

# ---- one after the other ------------------------------------------------------------------------------

one_turn() { # NUMBER
	local network=one label=client
	[ $(($1 % 2)) = 1 ] || network=bridge
	[ $(($1 % 4)) -lt 2 ] || label=other
	# Its first instruction sends what is denied.
	"$docker" run --rm --name "t$1" --label app=$label --network $network box:1 \
		sh -c "nc -w 1 $(address "server-$network" $network) 99 & sleep 0.1" >/dev/null 2>>turns.err
	[ $? != 125 ] || echo "$1" >>refused
}
# shellcheck disable=SC2015
again() { # kills the agent without a warning and starts another
	kill -KILL "$agent_pid"
	wait "$agent_pid" 2>/dev/null
	agent_start
}
: >refused
for ((i = 1; i <= turns; i++)); do
	one_turn "$i"
	if [ "$i" = $((turns / 2)) ]; then
		again
		goes_on "the agent was killed"
	fi
done
is "$turns in turn: none was refused" "" "$(paste -sd' ' refused)"

# ---- many at once, and the agent is killed in the middle of it -----------------------------------------------------

many() { # NUMBER
	local network=one
	[ $(($1 % 2)) = 1 ] || network=bridge
	"$docker" run -d --name "m$1" --label app=other --network $network box:1 \
		sh -c "nc -w 1 $(address "server-$network" $network) 99; sleep 1000" >/dev/null 2>>turns.err ||
		echo "m$1" >>refused
}
manies=()
for ((i = 1; i <= once; i++)); do
	many "$i" &
	manies+=($!)
done
sleep 0.5
again
wait "${manies[@]}"
wanted=$stay
for ((i = 1; i <= once; i++)); do
	grep -qx "m$i" refused || wanted+=" m$i/$([ $((i % 2)) = 1 ] && echo one || echo bridge)"
done
wanted=$(tr ' ' '\n' <<<"$wanted" | sort | paste -sd' ')
endpoints_are "$once at once, the agent killed in the middle: all are there" "$wanted"
# A call that it was killed in is one that failed, and what failed is refused.
echo "# refused, of $once: $(grep -c . refused)"
is "who was refused is not there, closed or open" "" "$(while read -r name; do "$docker" ps -q -f "name=^$name\$"; done <refused)"

# ---- the engine ends and comes again -----------------------------------------------------------------------------

kill "$engine"
wait "$engine"
is "without an engine all stay" "$wanted" "$(names)"
again
engine_start
goes_on "the engine was restarted, the agent without it"
endpoints_are "and all are there" "$wanted"
for ((i = 1; i <= once; i++)); do echo "m$i"; done | xargs "$docker" rm -f >/dev/null 2>&1
endpoints_are "those that came at once have gone" "$stay"
# Of a call that was killed an interface may be left, which goes by itself after five minutes, or with who deletes it.
for left in $(ip -br link | sed -n 's/^polcp\([0-9a-f]*\)@.*/\1/p'); do
	echo "# never taken: polc$left"
	ip link del "polc$left"
done

# ---- what is left ----------------------------------------------------------------------------------------------------

# shellcheck disable=SC2317 # called by name
no_difference() {
	all_there_is >after
	diff before after
}
until_is "" no_difference
is "nothing is left, nothing is missing" "" "$(diff before after)"
is "what is denied never came: bridge, network of polc" "0 0" "$(cat sniff.bridge) $(cat sniff.one)"
is "and was sent: dropped packets are counted" yes \
	"$("$POLLOAD" status --json | jq -r 'if ([.drops[]? | .packets] | add) > 20 then "yes" else . end')"

times() { # PATTERN: microseconds in the agent's log, as a line for people
	sed -n "s/.*$1 in \([0-9]*\) us.*/\1/p" agent.log | sort -n |
		awk '{ v[NR] = $1 } END { if (NR) printf "%d: median %.1f ms, nine of ten %.1f ms, most %.1f ms\n", NR, v[int((NR + 1) / 2)] / 1000, v[int(NR * 0.9 + 0.5)] / 1000, v[NR] / 1000 }'
}
echo "# of our own, made and closed, of $(times 'is closed,')"
echo "# of our own, from the container's namespace to its endpoint, of $(times 'at polc[0-9a-f]*,')"
echo "# of our own, on the bridge, from the event to its endpoint, of $(times 'at veth[0-9a-f]*,')"
finish
