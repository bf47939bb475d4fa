#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Endpoints that come and go at run time, of known and of new kinds.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"

shop_containers
shop_compile
container other 3 "app: client"
container extra 4 "app: server"
serve extra tcp 8080
serve extra tcp 8081
# shellcheck disable=SC2317 # called by `run`
add() { # NAME LABEL
	"$POLLOAD" endpoint add "$1" "interface=v-$1" "address=${v4[$1]}" "address=${v6[$1]}" "label=$2"
}

run add other app=client
is "add without a policy" 2 "$code"
host_file client >host.yaml
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "apply"

phase="not added yet"
expect open client client ping
run add server app=server
is "add: a new kind" 0 "$code" || echo "# $err"
phase="added, a new kind"
expect open client server tcp 8080
expect timeout client server tcp 8081
expect open world server tcp 80
run add other app=client
is "add: a known kind" 0 "$code"
phase="added, a known kind"
expect open other server tcp 8080
expect timeout other server tcp 8081
run add extra app=server
is "add: a known kind of server" 0 "$code"
expect open other extra tcp 8080
expect open client extra tcp 8080
run "$POLLOAD" status
is "status: all in place" 0 "$code"
like "and counts them" "4 here" "$out"
like "endpoints lists them" '"name": "other"' "$("$POLLOAD" endpoints --json)"

before=$(snapshot)
run add other app=client
is "add: a name twice" 2 "$code"
run "$POLLOAD" endpoint add fresh interface=v-other address=10.66.9.9
is "add: an interface twice" 2 "$code"
like "says whose it is" "belongs to endpoint 'other'" "$err"
run "$POLLOAD" endpoint add fresh interface=up0 address=10.66.9.9
is "add: an uplink" 2 "$code"
run "$POLLOAD" endpoint add fresh interface=lo "address=${v4[server]}"
is "add: an address twice" 2 "$code"
run "$POLLOAD" endpoint add fresh interface=nowhere address=10.66.9.9
is "add: no such interface" 2 "$code"
run "$POLLOAD" endpoint del nobody
is "del: none of that name" 2 "$code"
is "nothing changed" "$before" "$(snapshot)"

spawn other "$PROBE" stream "${v4[server]}" 7000 --timeout 20000 --interval 10 --count n.other
stream=$spawned
echoing n.other
run "$POLLOAD" endpoint del other
is "del" 0 "$code"
is "its hooks are gone" "" "$(tc qdisc show dev v-other clsact)$(tc filter show dev v-other ingress 2>/dev/null)"
kill -USR1 "$stream"
wait "$stream"
is "its live flow stops" 3 $?
phase="after del"
expect timeout other server tcp 8080
expect open client server tcp 8080

# An interface that nobody has yet: what has hooks and belongs to nobody passes nothing.
run "$POLLOAD" endpoint hold v-other
is "hold" 0 "$code"
phase="held"
expect timeout other server tcp 8080
expect timeout other client ping
run "$POLLOAD" endpoint hold v-other
is "hold: twice" 0 "$code"
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
phase="held, after an apply"
expect timeout other server tcp 8080
run add other app=client
is "add at a held interface" 0 "$code"
phase="held and added"
expect open other server tcp 8080
run "$POLLOAD" endpoint del other
phase="held and removed"
expect timeout other server tcp 8080
like "its hooks stay" stub_ep_out "$(tc filter show dev v-other ingress)"
run "$POLLOAD" endpoint hold up0
is "hold: an uplink" 2 "$code"
run "$POLLOAD" endpoint hold lo
is "hold: lo" 2 "$code"
run "$POLLOAD" endpoint hold nowhere
is "hold: no such interface" 2 "$code"

# One that goes while it is held leaves nothing noted of it, where the next hold looks.
noted() {
	"$POLLOAD" endpoint hold v-client >/dev/null || not_ok "endpoint hold"
	bpftool -j map dump pinned "$POLC_BPFFS/hooks" | jq length
}
before=$(noted)
for i in {1..40}; do
	ip link add brief type veth peer name other-end
	"$POLLOAD" endpoint hold brief >/dev/null 2>&1 &
	sleep 0.00$((i % 10))
	ip link del brief
	wait $!
done
is "40 interfaces that went while they were held" "$before" "$(noted)"

# A device that has the number of one that is gone is not whose that was, nor is it handed what comes for that.
container elder 6 "app: client"
run add elder app=client
expect open elder server tcp 8080
number=$(ip -j link show v-elder | jq ".[0].ifindex")
ip link del v-elder
ip link add v-elder index "$number" type veth peer name eth0 netns "$test_name-elder"
ip link set v-elder up
ip addr add 10.66.6.1/24 dev v-elder
ip addr add fd66:0:0:6::1/64 dev v-elder nodad
inside elder sh -c "ip link set eth0 up; ip addr add ${v4[elder]}/24 dev eth0; ip addr add ${v6[elder]}/64 dev eth0 nodad
	ip route add default via 10.66.6.1; ip route add default via fd66:0:0:6::1"
run "$POLLOAD" endpoint hold v-elder
is "hold: a device made anew, with the number of before" "0 " "$code $err"
phase="made anew"
expect timeout elder server tcp 8080
is "its endpoint has no device" "" "$("$POLLOAD" endpoints --json | jq -r '.[] | select(.name == "elder") | .interface')"
run "$POLLOAD" endpoint add younger interface=v-elder "address=${v4[elder]}" label=app=client
is "and its address is not free" 2 "$code"
"$POLLOAD" apply one.bpf.o >/dev/null || not_ok "apply"
expect timeout elder server tcp 8080
run "$POLLOAD" endpoint del elder
is "until it is removed" "0 " "$code $err"
run add elder app=client
is "then it is added again" "0 " "$code $err"
# who asks for a neighbour in vain for three seconds fails what waits for it: nothing was answered until now
inside elder ip neigh flush dev eth0
expect open elder server tcp 8080
run "$POLLOAD" endpoint hold v-elder
is "hold: one that is an endpoint" "0 " "$code $err"
tc filter del dev v-elder egress
run "$POLLOAD" endpoint hold v-elder
is "hold: one that has lost a hook" "0 " "$code $err"
expect open elder server tcp 8080
"$POLLOAD" endpoint del elder || not_ok "endpoint del"
ip link del v-elder
ip netns del "$test_name-elder"

# Another container takes over the address: of the old one it has nothing.
ip link del v-other
ip netns del "$test_name-other"
container heir 3 "app: stranger"
run add heir app=stranger
is "add: an heir of the address" "0 " "$code $err"
phase="the heir"
expect timeout heir server tcp 8080
is "has a number and an incarnation of its own" true "$("$POLLOAD" endpoints --json |
	jq '[.[] | .endpoint] | (length == (unique | length))')"

phase="after an apply without a host file"
"$POLLOAD" apply two.bpf.o >/dev/null || not_ok "apply"
expect open client extra tcp 8081
expect timeout client server tcp 8080
expect open client server tcp 8081
phase="after an apply with one"
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
expect open client server tcp 8080

# Where it is not known, the policy takes it for the world: that is said.
ip link add v-away type veth peer name v-far
run "$POLLOAD" endpoint add away interface=v-away "address=${v4[server]%.*}.9" address=172.30.0.2 label=app=client
is "add: an address outside of the pool" 0 "$code"
outside="note: endpoint 'away': 172.30.0.2 is not in \`pool\`"
like "is told" "$outside" "$err"
run "$POLLOAD" apply one.bpf.o -H host.yaml
like "by an apply, too" "$outside" "$err"
run "$POLLOAD" endpoint del away
run "$POLLOAD" apply one.bpf.o -H host.yaml
is "and no more when it has gone" "0 " "$code $err"
host_file client server >both.yaml
run "$POLLOAD" apply one.bpf.o -H both.yaml
is "a host file that clashes with what was added" 2 "$code"
like "says which" "endpoint 'server', added at run time" "$err"
like "and what to do" "polload endpoint del server" "$err"
finish
