#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# One container that opens flows as fast as it can, TCP and UDP, both families, answered and not, costs
# its neighbours nothing: their connections live, their new ones all open.  It is stopped by its own
# share, and a rate that it has used up is nobody else's.  Who comes after it at its address
# inherits nothing.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/floods.sh"
each=${POLC_STREAMS:-20}

container client 1 "app: client"
container server 2 "app: server"
container eve 3 "app: eve"
outside world
for port in 7000 7100; do
	serve server tcp $port
done
host_file client server eve >host.yaml
compile flood <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint client = app == "client";
endpoint server = app == "server";
endpoint eve = app == "eve";
policy client { allow to server on tcp; }
policy eve { allow to any; }
policy server {
    allow from client on tcp 7000;
    allow from { client, eve } on tcp 7100 limit 20/s burst 20 per source;
    allow from eve on tcp 1-6999, udp;
}
END
"$POLLOAD" apply flood.bpf.o -H host.yaml >/dev/null || bail "apply"

open_streams client 7000 20000 "$each" "${v4[server]}" "${v6[server]}"
sleep 0.5

spray() { # PROTO ADDRESS: of eve, until told to end
	nsenter --net="/run/netns/$test_name-eve" "$PROBE" spray "$1" "$2" --for 60000 >"sprayed.$1.$2" 2>&1 </dev/null &
	sprays+=($!)
}

# To a neighbour, which answers with resets and unreachables, and to the world, which has no such
# machine: half open for ever.
for phase in "TCP" "UDP" "TCP half open" "UDP unanswered"; do
	sprays=()
	proto=tcp
	[ "${phase%% *}" = TCP ] || proto=udp
	case $phase in
	*" "*) targets=(192.0.2.99 2001:db8:1::99) ;;
	*) targets=("${v4[server]}" "${v6[server]}") ;;
	esac
	for to in "${targets[@]}"; do
		spray $proto "$to"
	done
	for to in "${v4[server]}" "${v6[server]}"; do
		total=0
		: >not.open
		for _ in 1 2 3 4 5; do # a second and a quarter, longer only where the machine has no time
			said=$(inside client "$PROBE" repeat tcp "$to" 7000 --interval 5 --for 1250 --timeout 20000)
			read -r open _ refused _ unreachable _ timeout _ <<<"$said"
			[ "$refused $unreachable $timeout" = "0 0 0" ] || echo "$said" >>not.open
			total=$((total + open))
			[ "$total" -le 20 ] || break
		done
		is "$phase: every new connection of a neighbour opens" "" "$(cat not.open)"
		is "$phase: and there were many" yes "$([ "$total" -gt 20 ] && echo yes)"
		echo "# $phase: $total, $said"
	done
	kill -TERM "${sprays[@]}"
	wait "${sprays[@]}"
	echo "# $phase: $(cat sprayed.* | tr '\n' ' '), ct_quota $(drops ct_quota), no room $(drops ct_full)"
	rm -f sprayed.*
done
phase=
is "no flow found the table full" 0 "$(drops ct_full)"
is "the flood met its share" yes "$([ "$(drops ct_quota)" -gt 0 ] && echo yes)"

# Its own rate used up, a neighbour's is not: 5 a second of 20.
nsenter --net="/run/netns/$test_name-eve" "$PROBE" repeat tcp "${v4[server]}" 7100 --interval 1 --timeout 20 >greedy 2>&1 </dev/null &
greedy=$!
used_up() { # COUNT: so many more were dropped for the limit
	local i before
	before=$(drops limit)
	for ((i = 0; i < 600; i++)); do
		[ "$(drops limit)" -lt $((before + $1)) ] || { echo yes; return; }
		sleep 0.05
	done
}
is "eve's rate is used up" yes "$(used_up 5)"
said=$(inside client "$PROBE" repeat tcp "${v4[server]}" 7100 --interval 200 --timeout 20000 --for 1500)
read -r open _ refused _ unreachable _ timeout _ <<<"$said"
is "a neighbour's rate is its own" "0 0 0" "$refused $unreachable $timeout"
is "while eve's was used up" yes "$(used_up 5)"
kill -TERM "$greedy"
wait "$greedy"

end_streams
is "of the neighbour's connections all live" "${#streams[@]}" "$alive"

# ---- who comes after ---------------------------------------------------------------------

after() { # LABEL APP|file ADDRESS: eve's device and addresses with these labels, while its connection goes on
	local label=$1 app=$2 to=$3
	rm -f after.n
	nsenter --net="/run/netns/$test_name-eve" "$PROBE" stream "$to" 6000 --interval 10 --timeout 20000 --count after.n >after.out 2>&1 </dev/null &
	local stream=$!
	echoing after.n
	# one behind the other: the connection's next packet meets the successor
	if [ "$app" = file ]; then
		"$POLLOAD" apply flood.bpf.o -H renamed.yaml >/dev/null || bail "apply"
	else
		"$POLLOAD" endpoint del eve >/dev/null || bail "endpoint del"
		"$POLLOAD" endpoint add eve interface=v-eve address="${v4[eve]}" address="${v6[eve]}" \
			label=app="$app" >/dev/null || bail "endpoint add"
	fi
	kill -USR1 "$stream"
	wait "$stream"
	is "$label: the connection of its predecessor ends" 3 $?
	is "it had been alive" yes "$([ "$(cut -d' ' -f1 after.out)" -gt 5 ] && echo yes)"
}

serve server tcp 6000
"$POLLOAD" apply flood.bpf.o -H host.yaml >/dev/null || bail "apply"
"$POLLOAD" endpoint del eve >/dev/null
"$POLLOAD" endpoint add eve interface=v-eve address="${v4[eve]}" address="${v6[eve]}" label=app=eve >/dev/null ||
	bail "endpoint"
expect open eve server tcp 6000
after "a successor that may do the same" eve "${v4[server]}"
expect open eve server tcp 6000
after "over IPv6" eve "${v6[server]}"
expect open eve server tcp 6000
after "a successor that may nothing" nobody "${v4[server]}"
expect timeout eve server tcp 6000
# in the grace of the first apply, which was not long ago
"$POLLOAD" endpoint del eve >/dev/null || bail "endpoint del"
"$POLLOAD" remove >/dev/null || bail "remove"
"$POLLOAD" apply flood.bpf.o -H host.yaml >/dev/null || bail "apply"
sed 's/name: eve,/name: another,/' host.yaml >renamed.yaml
after "a successor that another host file names" file "${v4[server]}"
expect open eve server tcp 6000
finish
