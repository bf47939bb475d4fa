#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# polload killed at counted points, and at any instant: the old or the new policy, whole; what it
# left behind the next run cleans up.  A point is the entry of a system call that leaves something
# behind (tools/faultat); POINTS of them (24) are spread over all that an apply makes, fewer over the rest.
# The policies have a filter at XDP and a service too, which differ as the rules do: all three change at once.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"
faultat=${FAULTAT:-$e2e_build/tests/tools/faultat}
[ -x "$faultat" ] || skip "$faultat is not built"
points=${POINTS:-24}

shop_containers
inside world ip route add 198.51.100.10 via 192.0.2.1
edge_policy() { # PORT OTHER: a client may ask PORT, the world may not ask OTHER
	shop_policy "$1" | sed "s/allow from world on tcp 80;/allow from world on tcp 80, 8080, 8081;/"
	echo "filter edge on up0 { drop on tcp $2; pass; }"
	echo "service shop { vip 198.51.100.10 on tcp $(($1 - 8000)); backend server on tcp 80; }"
}
edge_policy 8080 8081 | compile one
edge_policy 8081 8080 | compile two
container later 3 "app: client"

reach() { # FROM ADDRESS PORT: into reach.FROM.PORT
	inside "$1" "$PROBE" connect tcp "$2" "$3" --timeout "${patience:-250}" >"reach.$1.$3"
}
pair() { # FROM PORT PORT: one, two, none or closed
	case "$(cat "reach.$1.$2")/$(cat "reach.$1.$3")" in
	open/timeout) echo one ;;
	timeout/open) echo two ;;
	open/open) echo none ;;
	timeout/timeout) echo closed ;;
	*) echo "mixed: $1 $(cat "reach.$1.$2")/$(cat "reach.$1.$3")" ;;
	esac
}
# By traffic alone, what the rules do: one, two, none or closed; half, if the filter or the service does not do the same.
enforced() {
	local tries=() rules port
	for port in 8080 8081; do
		reach client "${v4[server]}" $port &
		tries+=($!)
		reach world "${v4[server]}" $port &
		tries+=($!)
		reach world 198.51.100.10 $((port - 8000)) &
		tries+=($!)
	done
	wait "${tries[@]}"
	rules=$(pair client 8080 8081)
	case $rules in
	one | two)
		[ "$(pair world 8080 8081)/$(pair world 80 81 | sed 's/mixed: world open.*/one/; s/mixed: world [a-z]*.open/two/')" = "$rules/$rules" ] ||
			rules=half
		;;
	esac
	echo "$rules"
}
among() { # WORD LIST
	case " $2 " in *" $1 "*) return 0 ;; esac
	return 1
}

killed=0
# Runs "before" afresh for each point, kills the command there, and looks what is enforced.
kill_points() { # WHAT HOW_MANY ALLOWED_STATES COMMAND...: before(), after()
	local what=$1 many=$2 allowed=$3 all seen odd=() states=()
	shift 3
	before
	all=$("$faultat" kill 0 "$@")
	after
	for i in $(seq "$many"); do
		before
		"$faultat" kill $((1 + (all - 3) * (i - 1) / (many - 1))) "$@" >killed.out 2>&1 || odd+=("point $i of $many was not reached: $(cat killed.out)")
		killed=$((killed + 1))
		seen=$(enforced)
		# a loaded machine: what is open is asked once more, with patience
		among "$seen" "$allowed" || seen=$(patience=3000 enforced)
		among "$seen" "$allowed" || odd+=("point $i of $many: $seen")
		states+=("$seen")
		after
	done
	is "$what, killed at $many of its $all points: ${allowed// / or }" "" "${odd[*]}"
	echo "# $(printf '%s\n' "${states[@]}" | uniq -c | tr -s ' \n' ' ')"
}
apply() { "$POLLOAD" apply "$@" >/dev/null 2>>trouble; }
settled() { # nothing is left over
	run "$POLLOAD" status
	! grep MISSING <<<"$out" | grep -qv "'v-later'" && [ "$(find bpf/polc -maxdepth 1 -name 'gen_*' | wc -l)" = 1 ] &&
		[ "$(find "$POLC_STATE_DIR" -name 'gen-*' | wc -l)" -le 2 ]
}
nothing() { [ -z "$(find bpf state -mindepth 1 ! -name "*.debug" ! -name 'good*' ! -path state/polc)$(tc qdisc show | grep clsact)$(ip link show up0 | grep xdp)" ]; }
left=0

fresh=
one_in_force() { # by the apply that cleaned up behind the point before, or by its own
	[ -n "$fresh" ] || apply one.bpf.o -H host.yaml
	fresh=
}
before() { one_in_force; }
after() {
	apply one.bpf.o -H host.yaml && settled && fresh=yes || left=$((left + 1))
}
kill_points "an apply" "$points" "one two" "$POLLOAD" apply two.bpf.o -H host.yaml

before() { apply two.bpf.o && apply one.bpf.o -H host.yaml; }
kill_points "a rollback" 5 "one two" "$POLLOAD" rollback

before() { one_in_force; }
kill_points "a shadow that begins" 6 "one" "$POLLOAD" apply --shadow two.bpf.o
before() { one_in_force && apply --shadow two.bpf.o; }
kill_points "a shadow that is dropped" 4 "one" "$POLLOAD" shadow --drop
kill_points "a shadow that takes force" 4 "one two" "$POLLOAD" shadow --commit

before() { one_in_force; }
later=(interface=v-later "address=${v4[later]}" "address=${v6[later]}" label=app=client)
after() {
	"$POLLOAD" endpoint del later >/dev/null 2>&1
	settled && fresh=yes || left=$((left + 1))
}
kill_points "an endpoint that comes" 5 "one" "$POLLOAD" endpoint add later "${later[@]}"
before() { "$POLLOAD" endpoint add later "${later[@]}" 2>>trouble; }
kill_points "an endpoint that goes" 4 "one" "$POLLOAD" endpoint del later
"$POLLOAD" endpoint add later "${later[@]}" || not_ok "endpoint add afterwards"
expect open later server tcp 8080
"$POLLOAD" endpoint del later || not_ok "endpoint del afterwards"
is "after each of them the next run left nothing over" 0 "$left"

left=0
before() { apply one.bpf.o -H host.yaml; }
after() {
	"$POLLOAD" remove >/dev/null 2>>trouble
	nothing || left=$((left + 1))
}
# the hooks go one by one
kill_points "a removal" 5 "one half none" "$POLLOAD" remove
before() { "$POLLOAD" remove >/dev/null 2>>trouble; }
# what has hooks and no policy yet is closed; nothing else is in between
kill_points "a first apply" 5 "none one closed" "$POLLOAD" apply one.bpf.o -H host.yaml
is "and removal then leaves nothing" 0 "$left"
before
apply one.bpf.o -H host.yaml
"$faultat" kill 60 "$POLLOAD" remove >/dev/null 2>&1
apply two.bpf.o -H host.yaml
is "an apply after half a removal" two "$(enforced)"
is "kills in all, at least 50" yes "$([ "$killed" -ge 50 ] && echo yes)"

# At any instant, also between two system calls.
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
began=$(date +%s%N)
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
took=$((($(date +%s%N) - began) / 1000)) # us
mixed=0
for i in $(seq 8); do
	[ $((i % 2)) = 1 ] && next=two || next=one
	"$POLLOAD" apply "$next.bpf.o" >/dev/null 2>&1 &
	pid=$!
	sleep "$(printf '0.%06d' $((took * i * 11 / 80 % 1000000)))"
	kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	among "$(enforced)" "one two" || among "$(patience=3000 enforced)" "one two" || mixed=$((mixed + 1))
done
is "an apply that is killed at any instant" 0 "$mixed"
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply afterwards"
settled || not_ok "settled afterwards" "$out" "$(find bpf "$POLC_STATE_DIR")"
shop_in_force one
finish
