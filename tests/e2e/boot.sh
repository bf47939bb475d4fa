#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# The boot order, replayed: no pins, no interfaces, no rules; `polload boot`; then containers that send
# from their first instruction on, before anybody has said who they are.  Counted is what arrives.
. "$(dirname "$0")/lib.sh"
. "$e2e_tree/tests/e2e/shop.sh"
. "$e2e_tree/tests/e2e/bridge.sh"
faultat=${FAULTAT:-$e2e_build/tests/tools/faultat}
[ -x "$faultat" ] || skip "$faultat is not built"
command -v nft >/dev/null || skip "nft is not installed"
points=${POINTS:-8}

# ---- a machine that goes down and comes up ---------------------------------------------------

pids=()
begin() { # COMMAND...: in the background, until the next power_off
	"$@" >>"$work/begun" 2>&1 </dev/null &
	pids+=($!)
}

quiet() { # nobody sends any more
	[ ${#pids[@]} = 0 ] || { kill -KILL "${pids[@]}"; wait "${pids[@]}"; }
	pids=()
} 2>/dev/null
power_off() {
	local ns dev
	quiet
	disown -a
	for ns in $(ip netns list | sed 's/ .*//'); do
		ip netns pids "$ns" | xargs -r kill -KILL 2>/dev/null
		ip netns del "$ns"
	done
	for dev in $(ip -o link | sed 's/^[0-9]*: //; s/[@:].*//'); do
		[ "$dev" = lo ] || ip link del "$dev" 2>/dev/null
	done
	forget_kernel
	mac=()
}
forget_kernel() { # what does not outlive a boot, but for interfaces
	local dev
	nft flush ruleset
	for dev in $(tc qdisc show | sed -n 's/^qdisc clsact .* dev \([^ ]*\) .*/\1/p'); do
		tc qdisc del dev "$dev" clsact
	done
	umount bpf
	mount -t bpf bpf bpf || bail "cannot empty the BPF file system"
}

# Everything of this match that a machine gets, from its first packet on; before its interface is there.
count_in() { # NAME|host MATCH...: counter `seen`
	local name=$1 run=()
	shift
	[ "$name" = host ] || run=(inside "$name")
	"${run[@]}" nft "table inet seen {
		counter c { packets 0 bytes 0; }
		chain in { type filter hook input priority 200;
		$(printf '%s counter name c\n' "$@")
		}
		}" || bail "cannot count at $name"
}
counted() { # NAME|host
	local run=()
	[ "$1" = host ] || run=(inside "$1")
	"${run[@]}" nft list counter inet seen c | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

# A container's first instruction: it is there, and sends, before its interface is.
attack() { # NAME ADDRESS PORT
	spawn "$1" bash -c "while :; do $PROBE flood $2 $3 --for 60; done"
	pids+=("$spawned")
}
spoof() { # NAME SOURCE ADDRESS PORT
	spawn "$1" bash -c "while :; do $PROBE repeat udp $3 $4 --foreign $2 --timeout 1 --interval 1 --for 60; done"
	pids+=("$spawned")
}

v4=([client]=10.66.1.2 [server]=10.66.2.2 [stranger]=10.66.3.2 [world]=192.0.2.7)
v6=([client]=fd66:0:0:1::2 [server]=fd66:0:0:2::2 [stranger]=fd66:0:0:3::2 [world]=2001:db8:1::7)
plug() { # NAME NUMBER: as link_up(), of a namespace that is there already
	local dev=v-$1 gw4=10.66.$2.1 gw6=fd66:0:0:$2::1
	[ "$1" != world ] || { dev=up0 gw4=192.0.2.1 gw6=2001:db8:1::1; }
	ip link add "$dev" type veth peer name eth0 netns "$test_name-$1" || bail "cannot make a veth"
	inside "$1" sh -c "ip link set lo up; ip link set eth0 up; ip addr add ${v4[$1]}/24 dev eth0;
		ip addr add ${v6[$1]}/64 dev eth0 nodad"
	ip link set "$dev" up
	ip addr add "$gw4/24" dev "$dev"
	ip addr add "$gw6/64" dev "$dev" nodad
	inside "$1" sh -c "ip route add default via $gw4; ip route add default via $gw6"
}
machine() { # NAME...: not connected yet
	local name
	for name; do
		ip netns add "$test_name-$name" || bail "cannot make a network namespace"
		inside "$name" bash -c "$(declare -f no_dad); no_dad"
	done
}

denied=('udp dport 54' 'tcp dport 8081' 'udp dport 9999')
power_on() { # containers and a machine outside, all at once
	local a
	machine client server stranger world
	count_in server "${denied[@]}" 'ip saddr 10.66.3.2' 'ip6 saddr fd66:0:0:3::2'
	count_in stranger 'ip protocol udp' 'ip6 nexthdr udp'
	count_in world 'ip saddr 10.66.0.0/16 udp dport 53' 'ip6 saddr fd66::/48 udp dport 53' 'udp dport 9999'
	count_in host 'udp dport 9999'
	for a in 10.66.2.2 fd66:0:0:2::2; do attack client $a 54; attack stranger $a 53; done
	for a in 192.0.2.7 2001:db8:1::7; do attack client $a 53; attack stranger $a 53; done
	for a in 10.66.1.1 fd66:0:0:3::1; do attack client $a 9999; attack stranger $a 9999; done
	for a in 10.66.3.2 fd66:0:0:3::2; do attack server $a 53; attack world $a 53; begin "$PROBE" flood $a 53; done
	for a in server world; do spoof stranger 198.51.100.9 "${v4[$a]}" 9999; done
	spoof stranger 10.66.1.2 10.66.2.2 54
	spoof stranger fe80::77 fd66:0:0:3::1 9999
	plug server 2
	plug client 1
	plug stranger 3
	[ $# = 0 ] || "$@"
	plug world 0
}
arrived() { echo "server $(counted server), stranger $(counted stranger), world $(counted world), host $(counted host)"; }
nobody="server 0, stranger 0, world 0, host 0"
status() { "$POLLOAD" status --json | jq -c "$1"; }

# ---- the last good policy is kept --------------------------------------------------------------

shop_compile
labels=([client]="app: client" [server]="app: server")
machine client server stranger world
plug client 1
plug server 2
plug stranger 3
plug world 0
host_file client server >host.yaml
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "cannot apply"
"$POLLOAD" endpoint add stranger interface=v-stranger address=10.66.3.2 address=fd66:0:0:3::2 label=app=client || bail "cannot add"
is "an apply keeps its policy for the boot" '[true,false,""]' "$(status '[.kept, .guard, .waiting]')"

# Would this test notice?  Without `polload boot` all of it arrives.
power_off
power_on
# shellcheck disable=SC2317
reached() { arrived | grep -o '[1-9][0-9]*' | wc -l; }
becomes "without it, each machine gets what it should not" 4 reached

# ---- a good one ----------------------------------------------------------------------------------

power_off
caps=$(sed -n 's/^CapabilityBoundingSet=//p' "$e2e_tree/runtime/polload.service.in" | tr '[:upper:] ' '[:lower:],' | sed 's/cap_/+/g')
run setpriv --bounding-set="-all,$caps" --no-new-privs "$POLLOAD" boot
is "boot, with the capabilities of its unit, before any interface is there" "0 " "$code $err"
like "and says what it waits for" "not there yet, and closed until then: up0 v-client v-server" "$out"
is "status: the policy is in force, and the guard" '["one.pol",true,null,"up0 v-client v-server"]' \
	"$(status '[.policy, .guard, .lockdown, .waiting]')"
begin "$POLLOAD" boot --watch
power_on sleep 0.3
becomes "interfaces are taken in as they come" '""' status .waiting
serve server tcp 80
serve server tcp 8080
sleep 0.3
is "not one denied packet has arrived, with containers that send from their first instruction on" "$nobody" "$(arrived)"
# shellcheck disable=SC2317
sent() { [ "$(status .guard_drops)" -gt 20 ] && echo yes; }
becomes "they did send" yes sent
# The host may be looking for the server still, with all that was sent to it before waiting.
becomes "client to server on tcp 8080" "open open" try client server tcp 8080
expect open world server tcp 80
expect timeout client server tcp 8081
# shellcheck disable=SC2016
is "status names whom nobody has named" '["interface \u0027v-stranger\u0027: it is up, has routes, and no hooks; name it in `uplinks`"]' \
	"$(status .missing | sed "s/'/\\\\u0027/g")"
named() { "$POLLOAD" endpoint add stranger interface=v-stranger address=10.66.3.2 address=fd66:0:0:3::2 label=app=client; }
named || not_ok "endpoint add"
# neighbours ask once a second
patience=400 becomes "who came at run time is closed until it is named again, and then has what its class has" "open open" \
	try stranger server tcp 8080
is "outside and this host still have nothing" "world 0, host 0" "$(arrived | sed 's/.*stranger [0-9]*, //')"

# ---- a bad one ---------------------------------------------------------------------------------------

quiet
# What is in force goes, containers stay: `boot` has to close them itself.
boots_bad() { # WHAT LOCKDOWN WORDS COMMAND...: the command breaks what is kept
	local what=$1 closed=$2 why=$3 a tries=()
	shift 3
	rm -rf saved && cp -a "$POLC_STATE_DIR" saved
	forget_kernel
	"$@"
	run "$POLLOAD" boot --trust-dir "$keys"
	if [ "$code" != 0 ] && [[ $err == *"$why"* && $err == *"LOCKDOWN: everything to and from containers"* ]] &&
		[ "$(status '[.policy, .lockdown]')" = "[null,\"$closed\"]" ]; then
		ok "$what: lockdown, and why"
	else
		not_ok "$what: lockdown, and why" "code $code: $err" "$(status .)"
	fi
	for a in "${v4[server]}" "${v6[server]}"; do
		inside client "$PROBE" connect tcp "$a" 8080 --timeout 150 &
		tries+=($!)
	done >tried
	wait "${tries[@]}"
	is "$what: client to server: nothing" "timeout timeout" "$(xargs <tried)"
	rm -rf "$POLC_STATE_DIR" && cp -a saved "$POLC_STATE_DIR"
}
kept() { echo "$POLC_STATE_DIR/$(readlink "$POLC_STATE_DIR/good")/$1"; }
flip() { # FILE OFFSET
	# shellcheck disable=SC2317
	printf '\xff\xfe' | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
mkdir keys
keys=keys
for name in ops other; do "$POLC" keygen "$name" >/dev/null || bail "cannot make keys"; done
cp ops.pub keys
"$POLC" sign --key ops one.bpf.o
"$POLLOAD" apply one.bpf.o -H host.yaml --trust-dir keys >/dev/null || bail "cannot apply"
is "the signature is kept with it" yes "$(cmp -s one.bpf.o.sig "$(kept policy.bpf.o.sig)" && echo yes)"

boots_bad "an object with a changed byte" pool "no key in keys signed" flip "$(kept policy.bpf.o)" 5000
boots_bad "signed by another key" pool "no key in keys signed" \
	sh -c "'$POLC' sign --key other '$(kept policy.bpf.o)'"
keys=/dev/null/none boots_bad "no trust folder where one is named" pool "none" true
boots_bad "an object of somebody else" pool "belongs to user 12345" chown 12345 "$(kept policy.bpf.o)"
boots_bad "a host file that others can write" pool "others than root can write" chmod g+w "$(kept host.yaml)"
boots_bad "another host file" pool "host.yaml: damaged" sh -c "echo >>'$(kept host.yaml)'"
boots_bad "no object" pool "cannot open" rm "$(kept policy.bpf.o)"
boots_bad "no host file" pool "cannot open" rm "$(kept host.yaml)"
boots_bad "a changed manifest" everything "manifest: damaged" flip "$(kept manifest)" 20
boots_bad "a link to nothing" everything "cannot open" rm -r "$(dirname "$(kept x)")"
boots_bad "a link elsewhere" everything "not a link of ours" ln -sfn /etc "$POLC_STATE_DIR/good"
boots_bad "a state folder of somebody else" everything "belongs to user 12345" chown 12345 "$POLC_STATE_DIR"
boots_bad "nothing at all" everything "no policy is kept for the boot" rm -r "$POLC_STATE_DIR"

# The host itself can be reached, and who mends it lifts the lockdown.
begin "$PROBE" listen tcp 192.0.2.1 22
begin "$PROBE" listen tcp 2001:db8:1::1 22
for a in 192.0.2.1 2001:db8:1::1; do
	becomes "in lockdown this host is reached from outside: $a" open inside world "$PROBE" connect tcp $a 22 --timeout 400
done
forget_kernel
run "$POLLOAD" boot --trust-dir keys
is "a good one again" "0 null" "$code $(status .lockdown)"
expect open client server tcp 8080
run "$POLLOAD" lockdown
is "lockdown by hand" '0 "pool"' "$code $(status .lockdown)"
expect timeout client server tcp 8080
"$POLLOAD" status >/dev/null
is "status says no in a lockdown" 1 $?
run "$POLLOAD" apply one.bpf.o --trust-dir keys
is "an apply lifts it" "0 null" "$code $(status .lockdown)"
expect open client server tcp 8080
rm one.bpf.o.sig

# ---- killed while it is kept ------------------------------------------------------------------------------

"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
all=$("$faultat" kill 0 "$POLLOAD" apply two.bpf.o -H host.yaml)
odd=() states=()
for ((i = 0; i < points; i++)); do
	"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || odd+=("point $i: apply")
	"$faultat" kill $((all - 30 + i * 30 / points)) "$POLLOAD" apply two.bpf.o -H host.yaml >killed.out 2>&1 ||
		odd+=("point $i was not reached: $(cat killed.out)")
	forget_kernel
	run "$POLLOAD" boot
	states+=("$(status .policy)")
	[[ $code == 0 && ${states[-1]} =~ ^\"(one|two).pol\"$ ]] || odd+=("point $i: $code $err")
done
is "killed at $points of the last 30 of its $all points, an apply leaves the older or the newer" "" "${odd[*]}"
is "and both were seen" '"one.pol" "two.pol"' "$(printf '%s\n' "${states[@]}" | sort -u | xargs -d '\n')"
# In the middle of changing the guard: what stands for it meanwhile would stay, closed to who comes later.
cut_off() {
	local i
	"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
	for ((i = all; i > all - 30; i--)); do
		"$faultat" kill $i "$POLLOAD" apply two.bpf.o -H host.yaml >/dev/null 2>&1
		! nft list tables | grep -q polc_change || return 0
	done
	not_ok "an apply that is cut off while it changes the guard"
}
cut_off
run "$POLLOAD" boot
is "the next boot takes it away" "0 " "$code $(nft list tables | grep polc_change)"
cut_off
run named
is "and so does an endpoint that comes" "0 " "$code $(nft list tables | grep polc_change)" || echo "# $err"
# Nor the first one, which was killed with its folder made and nothing in it.
forget_kernel
mkdir -m 700 "$POLC_BPFFS"
run "$POLLOAD" boot
is "a boot that finds an empty folder of pins" "0 null" "$code $(status .lockdown)" || echo "# $err"
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || not_ok "apply"
is "the next one leaves nothing over" 1 "$(find "$POLC_STATE_DIR" -mindepth 1 -maxdepth 1 -name 'good?*' | wc -l)"
# Numbers of interfaces that are gone may be others' one day, which have no hooks.
run "$POLLOAD" boot
guarded() { for f in inet bridge; do nft -j list set $f polc_guard hooked | jq '[.nftables[].set?.elem? // [] | .[]] | length'; done; }
before=$(guarded)
for i in 1 2 3; do
	ip link add brief type veth peer name other-end
	"$POLLOAD" endpoint add brief interface=brief address=10.66.9.$i || not_ok "endpoint add"
	ip link del brief
	"$POLLOAD" endpoint del brief || not_ok "endpoint del"
	ip link add brief type veth peer name other-end
	"$POLLOAD" endpoint hold brief || not_ok "endpoint hold"
	ip link del brief
done
"$POLLOAD" endpoint hold v-client || not_ok "endpoint hold"
is "the guard knows interfaces that are there, and no others" "$before" "$(guarded)"
"$POLLOAD" remove >/dev/null || not_ok "remove"
is "a removal forgets it, and takes the guard away" "" "$(ls "$POLC_STATE_DIR" 2>/dev/null)$(nft list tables | grep polc)"

# ---- on a bridge ---------------------------------------------------------------------------------------------

power_off
bridge_up br0 9
bridged named br0 9 2 "app: server"
bridged other br0 9 3 "app: client"
bridged third br0 9 4 "app: client"
bridged_host_file named >host.yaml
"$POLLOAD" apply one.bpf.o -H host.yaml >/dev/null || bail "cannot apply"
for on in 0 1; do
	power_off
	run "$POLLOAD" boot
	[ $code = 0 ] || not_ok "boot: $err"
	bridge_up br0 9
	br_netfilter $on 2>/dev/null
	bridged named br0 9 2 "app: server"
	count_in named 'ip saddr 10.66.9.3' 'ip saddr 10.66.9.4' 'ip6 saddr fd66:0:0:9::3 udp dport 53' 'udp dport 9999'
	run "$POLLOAD" boot
	bridged third br0 9 4 "app: client"
	count_in third 'ip protocol udp' 'ip6 nexthdr udp'
	count_in host 'iifname br0 udp dport 53' 'iifname br0 udp dport 9999'
	bridged other br0 9 3 "app: client"
	for a in 10.66.9.1 10.66.9.2 10.66.9.4 fd66:0:0:9::1 fd66:0:0:9::2 fd66:0:0:9::4; do attack other $a 53; done
	for a in 10.66.9.1 10.66.9.2; do spoof other 198.51.100.9 $a 9999; done
	# in its neighbour's name
	inside other ip addr add 10.66.9.2/32 dev eth0
	inside other ip link set eth0 arp off
	inside other ip neigh replace 10.66.9.1 lladdr "$(ip -br link show br0 | awk '{ print $3 }')" dev eth0
	spoof other 10.66.9.2 10.66.9.1 53
	becomes "bridge, br_netfilter $on: it sends" yes sent
	sleep 0.5
	is "bridge, br_netfilter $on: nothing of who is not named arrives" "named 0, third 0, host 0" \
		"named $(counted named), third $(counted third), host $(counted host)"
done
"$POLLOAD" endpoint add third interface=v-third address=10.66.9.4 address=fd66:0:0:9::4 mac="${mac[third]}" label=app=client || not_ok "endpoint add"
serve named tcp 8080
patience=400 becomes "named, it has what its class has" "open open" try third named tcp 8080
finish
