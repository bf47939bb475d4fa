#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# System calls of polc-agent that fail, one in a run, while it finds a container that has come or one that has gone, and of
# polc-cni: it makes up for it by itself, or ends with a word and the next one does; what has no endpoint is closed.  And
# the clock of the machine is set while it runs.
#   FAULTS, FAULT_PART, FAULT_FROM   which (one of each): places.sh
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/places.sh"
faultat=${FAULTAT:-$e2e_build/tests/tools/faultat} engine=$e2e_build/tests/tools/engine
agent=$e2e_build/polc-agent cni=$e2e_build/polc-cni
wallclock=${WALLCLOCK_SO:-$e2e_build/tests/tools/wallclock.so}
for program in "$faultat" "$engine" "$agent" "$cni" "$wallclock"; do
	[ -x "$program" ] || skip "$program is not built"
done

compile net <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
policy client { allow to server on tcp 7000; }
policy server { allow from client on tcp 7000; }
END
container client 1 "app: client"
container server 2 "app: server"
serve server tcp 7000
host_file server >host.yaml
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null 2>&1 || bail "apply"
spawn client sleep 1000
pid=$spawned
mac=$(inside client ip -o link show eth0 | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/')

# ---- an engine with one container, or none -----------------------------------------------------

mkdir answers
echo '{"Config": {"Labels": {}}}' >answers/_images_sha256:1_json
cat >answers/_containers_c1_json <<END
{"Id": "c1", "Name": "/client", "Image": "sha256:1", "State": {"Running": true, "Pid": $pid}, "HostConfig": {"NetworkMode": "net"},
 "Config": {"Labels": {"app": "client"}}, "NetworkSettings": {"Networks": {"net": {"EndpointID": "e1", "MacAddress": "$mac",
 "IPAddress": "${v4[client]}", "GlobalIPv6Address": "${v6[client]}"}}}}
END
mv answers/_containers_c1_json c1
engine_has() { # a container, or none
	rm -f answers/_containers_c1_json
	echo '[]' >answers/list
	[ "$1" = none ] || { cp c1 answers/_containers_c1_json; echo '[{"Id": "c1"}]' >answers/list; }
	mv answers/list answers/_containers_json
}
engine_has none
"$engine" "$work/engine.sock" "$work/answers" >engine.out &
begun engine.out

there() {
	"$POLLOAD" endpoints --json | jq -r '[.[].name] | sort | join(" ")'
}
until_there() { # NAMES PID: $seen; as long as that process lives, or half a minute
	local i
	for ((i = 0; i < 600; i++)); do
		seen=$(there)
		[ "$seen" != "$1" ] || return 0
		kill -0 "$2" 2>/dev/null || break
		sleep 0.05
	done
	seen=$(there)
	[ "$seen" = "$1" ]
}
command=("$agent" --docker "$work/engine.sock" --plugin "" --hold 'v-*')
run_agent() { # WANTED COMMAND...: until it is so, or it ended; $code
	local wanted=$1 self child
	shift
	"$@" >fault.out 2>fault.err &
	self=$!
	until_there "$wanted" "$self"
	child=$(pgrep -P "$self" -x polc-agent || echo "$self")
	kill -TERM "$child" 2>/dev/null
	wait "$self"
	code=$?
}
ended_well() { # WANTED: says what is odd
	[ "$code" = 0 ] || grep -q "polc-agent: .\|out of memory\|loading shared libraries" fault.err || echo "ended ($code) without a word"
	[ "$code" -lt 128 ] || [ "$code" = 134 ] || echo "died ($code)"
	[ "$seen" = "$1" ] && return
	[ "$code" != 0 ] || echo "it went on, and there is $seen"
	run_agent "$1" "${command[@]}"
	[ "$seen" = "$1" ] || echo "after the next one there is $seen: $(tail -n 1 fault.err)"
}

each_fault() { # WHAT BEFORE AFTER
	local what=$1 before=$2 after=$3 total i fault tried=0 odd=0
	shift 3
	set_up "$before"
	"$faultat" fail 0 "${command[@]}" >all.faults 2>fault.err &
	local self=$!
	engine_has "$after"
	until_there "${names[$after]}" $self
	kill -TERM "$(pgrep -P $self -x polc-agent)"
	wait $self
	total=$(wc -l <all.faults)
	[ "$total" -gt 50 ] || bail "$what: no system calls: $(cat fault.err)"
	for i in $(places "$total"); do
		set_up "$before"
		engine_has "$after"
		run_agent "${names[$after]}" "$faultat" fail "$i" "${command[@]}"
		fault=$(head -n 1 fault.out)
		seen=$(ended_well "${names[$after]}")
		[ -z "$seen" ] || strange "fault $i, $fault" "$seen"
		tried=$((tried + 1))
	done
	is "$what: $tried of its $total faults" 0 "$odd"
}
declare -A names=([one]="client/net server" [none]="server")
set_up() { # one | none
	engine_has "$1"
	[ "$(there)" = "${names[$1]}" ] || run_agent "${names[$1]}" "${command[@]}"
	[ "$(there)" = "${names[$1]}" ] || bail "the agent does not do it: $(cat fault.err)"
}
each_fault "the agent finds a container" none one
phase="an endpoint"
expect open client server tcp 7000
each_fault "the agent finds that it has gone" one none
phase="none"
expect timeout client server tcp 7000
phase=

# ---- what was refused is tried again -----------------------------------------------------------------

# By itself: no event tells that somebody else's address is free, or that there is memory again.
cp c1 c1.own
sed "s/${v4[client]}/${v4[server]}/; s/${v6[client]}/${v6[server]}/" c1.own >c1
engine_has one
"${command[@]}" >/dev/null 2>again.log &
agent_pid=$!
for ((i = 0; i < 400; i++)); do
	! grep -q 'client/net refused' again.log || break
	sleep 0.05
done
is "a container that claims another's address gets no endpoint" "server 1" "$(there) $(grep -c 'client/net refused' again.log | sed 's/[1-9].*/1/')"
run "$POLLOAD" endpoint del server
until_there client/net $agent_pid
is "when the address is free it gets one" client/net "$seen"
kill -TERM $agent_pid
wait $agent_pid
mv c1.own c1
engine_has none
run_agent "" "${command[@]}"
"$POLLOAD" apply net.bpf.o -H host.yaml >/dev/null 2>&1 || bail "apply"
is "and all is as it was" server "$(there)"

# ---- what another version named otherwise ----------------------------------------------------------------

run "$POLLOAD" endpoint add a-name-of-old/net interface=v-client "address=${v4[client]}" "address=${v6[client]}" \
	"mac=$mac" label=app=client label=docker.container=c1 label=docker.endpoint=e1 label=docker.network=net
engine_has one
"${command[@]}" >/dev/null 2>named.log &
agent_pid=$!
until_there "${names[one]}" $agent_pid
is "an endpoint of another name gets its own, and stays" "${names[one]} 0" "$seen $(grep -c 'removed\|refused' named.log)"
kill -TERM $agent_pid
wait $agent_pid
engine_has none
run_agent server "${command[@]}"

# ---- an engine that fails ----------------------------------------------------------------------------

# Who runs goes on and keeps what is in force, who is new stays closed, until the engine says what becomes of them.
engine_has one
"${command[@]}" >/dev/null 2>>engine.log &
agent_pid=$!
until_there "${names[one]}" $agent_pid || bail "the agent does not do it: $(cat engine.log)"
head -c 18000000 /dev/zero | tr '\0' ' ' >long
said() { # TEXT: it stands in the log, by now
	local i
	for ((i = 0; i < 400; i++)); do
		! grep -q "$1" engine.log || return 0
		sleep 0.05
	done
	return 1
}
# FAULT PATH PART-OF-THE-MESSAGE: it is asked again, finds the fault, then there is none.  What it says meanwhile is appended.
engine_fails() {
	local odd=''
	: >engine.log
	cp "answers/$2" whole
	case $1 in
	"an error") echo "500 Internal Server Error" >"answers/$2.status" ;;
	"its end") : >"answers/$2.status" ;;
	"no JSON") echo '{"Id": "c' >"answers/$2" ;;
	"too much") cp long "answers/$2" ;;
	esac
	kill -HUP $agent_pid
	said "$3.*; trying again" || odd+="it does not say so: $(cat engine.log); "
	[ "$(there)" = "${names[$is_there]}" ] || odd+="there is $(there); "
	! grep -q 'gets no endpoint\|removed' engine.log || odd+="$(cat engine.log); "
	rm -f "answers/$2.status"
	mv whole "answers/$2"
	[ -z "$odd" ] || echo "$1 in the place of $2: $odd"
}
odd='' is_there=one
phase="the engine has failed"
for fault in "an error" "its end" "no JSON" "too much"; do
	odd+=$(engine_fails "$fault" _containers_c1_json "container c1: ")
	odd+=$(engine_fails "$fault" _images_sha256:1_json "container client: ")
	odd+=$(engine_fails "$fault" _containers_json "")
	expect open client server tcp 7000
done
is "an engine that fails takes no endpoint away" "" "$odd"
engine_has none
kill -HUP $agent_pid
until_there server $agent_pid
is "and once it answers, who has ended has none" server "$seen"
odd='' is_there=none
engine_has one
for fault in "an error" "its end" "no JSON" "too much"; do
	# by itself it would be asked again after a second, and has an answer then
	engine_has none
	kill -HUP $agent_pid
	until_there server $agent_pid
	engine_has one
	odd+=$(engine_fails "$fault" _images_sha256:1_json "container client: ")
done
is "nor does it open one" "" "$odd"
until_there "${names[one]}" $agent_pid
is "which is there when it has answered, by itself" "${names[one]}" "$seen"
kill -TERM $agent_pid
wait $agent_pid
engine_has none
run_agent server "${command[@]}"
phase=

# ---- the clock ------------------------------------------------------------------------------------

# The day is another one at each step, ten years back and forth; what is decided by time goes by a clock that nobody sets.
echo 0 >day
export WALLCLOCK=$work/day
LD_PRELOAD=$wallclock "${command[@]}" >/dev/null 2>agent.log &
agent_pid=$!
begun agent.log
odd='' was=''
for day in 0 -315360000 315360000 -1700000000 0; do
	for which in one none; do
		echo $day >day
		engine_has $which
		kill -HUP $agent_pid
		until_there "${names[$which]}" $agent_pid || odd+="at $day, $which: $seen: $(tail -n 1 agent.log); "
		[ $which = one ] || continue
		[ "$(try client server tcp 7000)" = "open open" ] || odd+="at $day: closed; "
		told=$(LD_PRELOAD=$wallclock "$POLLOAD" status --json | jq -r '"\(.policy) \(.grace > 0) \(.missing | length)"')
		[ "$told" = "${was:=$told}" ] || odd+="at $day, status: $told; "
	done
done
kill -TERM $agent_pid
wait $agent_pid
is "the time of day is set while the agent runs: it goes on" "0 " "$? $odd"
run unshare --time --monotonic 86400 --fork "$POLLOAD" status
is "in a time namespace with another clock than the data path's polload refuses" "3 yes" \
	"$code $(grep -q 'time namespace' <<<"$err" && echo yes)"
finish
