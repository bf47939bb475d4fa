#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Filters at XDP of an uplink: what they drop, pass and limit, over v4 and v6; where the stub hangs and
# how; apply, rollback, a failed apply and remove with it in place; somebody else's program.
. "$(dirname "$0")/lib.sh"

container server 1 "app: server"
outside world
for port in 22 80 8080; do
	serve server tcp $port
done
serve server udp 53
host_file server >host.yaml

policy() { # TEXT OF A FILTER...
	cat <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint server = app == "server";
cidr outer = 192.0.2.7, 2001:db8:1::7;
policy server { allow from any; }
$*
END
}

policy | compile none
policy 'filter edge on up0 {
	drop from outer on tcp 8080 log;
	pass from outer to { 10.66.0.0/16, fd66::/48 } on tcp 22;
	drop on tcp 22;
	drop on icmp echo-request, icmp6 echo-request;
	pass;
}' | compile edge
policy 'filter edge on up0 {
	drop on udp 53;
	pass;
}' | compile other
policy 'filter edge on up0 {
	pass on icmp6;
	pass on tcp ack;
	limit 1/s burst 3 per source on tcp syn;
	pass on tcp 80;
	drop;
}' | compile limit
policy 'filter edge on nowhere { pass; }' | compile nowhere
policy 'filter first on up0 { drop on tcp 22; pass; }
filter second on up0 { drop on udp; pass; }' | compile both

xdp() { # of up0: the name of the program, and xdp or xdpgeneric
	ip -j link show up0 | jq -r '.[0].xdp | if . then "\(.mode) \(.prog.id)" else "none" end' 2>/dev/null
}
mode() {
	"$POLLOAD" status --json | jq -r '.xdp.up0 // "none"'
}

phase="no filter"
run "$POLLOAD" apply none.bpf.o -H host.yaml
is "apply" 0 "$code" || echo "# $err"
is "nothing hangs at XDP" none "$(xdp)"
expect open world server tcp 8080

phase="a filter"
run "$POLLOAD" apply edge.bpf.o
is "apply" 0 "$code" || echo "# $err"
is "apply is quiet: the driver takes it" "" "$err"
is "native" native "$(mode)"
run "$POLLOAD" status
is "status: all in place" 0 "$code"
like "status shows how" "up0 (XDP native)" "$out"
expect timeout world server tcp 8080
expect open world server tcp 80
expect open world server tcp 22
expect timeout world server ping
expect open world server udp 53
before=$(xdp)
run "$POLLOAD" rules --json
hits() { # TEXT: packets of the line that has it
	"$POLLOAD" rules --json | jq "[.[] | select(.direction == \"filter\" and (.text | contains(\"$1\"))) | .packets] | add"
}
is "the line that dropped has counted" true "$([ "$(hits 'tcp 8080 log')" -gt 1 ] && echo true)"
is "the one before which another matched has not" 0 "$(hits 'drop on tcp 22')"
is "drops have a reason" true "$("$POLLOAD" status --json | jq '.drops.filter.packets > 1')"

phase="another filter"
"$POLLOAD" apply other.bpf.o >/dev/null || not_ok "apply"
expect open world server tcp 8080
expect timeout world server udp 53
is "the stub stays what it was" "$before" "$(xdp)"
run "$POLLOAD" rollback
is "rollback" 0 "$code" || echo "# $err"
phase="rolled back"
expect timeout world server tcp 8080
expect open world server udp 53

phase="a failed apply"
snapshot >before
run "$POLLOAD" apply nowhere.bpf.o
is "is refused" 2 "$code"
like "names filter and interface" "filter 'edge': 'nowhere' is no uplink of this host" "$err"
snapshot >after
is "nothing changed" "" "$(diff before after)"
expect timeout world server tcp 8080

phase="limit"
"$POLLOAD" apply limit.bpf.o >/dev/null || not_ok "apply"
opened=0 began=$SECONDS
for _ in 1 2 3 4 5 6 7 8; do
	[ "$(inside world "$PROBE" connect tcp "${v4[server]}" 80 --timeout 100)" != open ] || opened=$((opened + 1))
done
most=$((3 + 1 + SECONDS - began)) # the burst, and one a second
is "no more than the burst and a few get through ($opened)" true "$([ "$opened" -ge 3 ] && [ "$opened" -le $most ] && echo true)"
is "the limit has counted what it dropped" true "$([ "$(hits 'limit 1/s')" -gt 0 ] && echo true)"

phase="two filters on one uplink"
"$POLLOAD" apply both.bpf.o >/dev/null || not_ok "apply"
expect timeout world server tcp 22
expect timeout world server udp 53
expect open world server tcp 80

phase="audit"
"$POLLOAD" apply --audit both.bpf.o >/dev/null || not_ok "apply"
expect open world server tcp 22

phase="without filters again"
"$POLLOAD" apply none.bpf.o >/dev/null || not_ok "apply"
is "nothing hangs at XDP" none "$(xdp)"
expect open world server tcp 22

phase="somebody else's program"
"$POLLOAD" remove >/dev/null || not_ok "remove"
cat >foreign.c <<END
__attribute__((section("xdp"), used)) int foreign(void *ctx) { return 2; }
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
END
${CLANG:-clang} -O2 -g -target bpf -c foreign.c -o foreign.o || bail "cannot compile"
ip link set dev up0 xdp obj foreign.o sec xdp || bail "cannot attach"
run "$POLLOAD" apply edge.bpf.o -H host.yaml
is "is refused" 3 "$code"
like "by name" "XDP program 'foreign'" "$err"
is "and left alone" true "$([ "$(xdp)" != none ] && echo true)"
ip link set dev up0 xdp off
"$POLLOAD" apply edge.bpf.o -H host.yaml >/dev/null || not_ok "apply"
is "ours is there" native "$(mode)"
"$POLLOAD" remove >/dev/null || not_ok "remove"

phase="generic"
ip link add dumb0 type bridge && ip link set dumb0 up
sed 's/uplinks: .*/uplinks: [up0, dumb0]/' host.yaml >two.yaml
policy 'filter edge on up0, dumb0 { drop on tcp 22; pass; }' | compile wide
run "$POLLOAD" apply wide.bpf.o -H two.yaml
is "apply" 0 "$code" || echo "# $err"
like "what is not native is said" "interface 'dumb0': its driver takes no XDP program" "$err"
is "generic there" generic "$("$POLLOAD" status --json | jq -r .xdp.dumb0)"
is "native here" native "$(mode)"
ip link set dev up0 xdp off
run "$POLLOAD" status
is "a hook that has gone is missing" 1 "$code"
like "and named" "its XDP hook is not in place" "$out"
"$POLLOAD" apply wide.bpf.o >/dev/null || not_ok "apply"
is "apply puts it back" native "$(mode)"

phase="a dynamic set"
policy 'cidr bad dynamic = 203.0.113.0/24;
filter edge on up0 {
	drop from bad on tcp 80;
	drop to { bad, 203.0.113.0/24 } on udp 53;
	pass;
}' | compile dynamic
"$POLLOAD" apply dynamic.bpf.o >/dev/null || not_ok "apply"
expect open world server tcp 80
run "$POLLOAD" filter add bad 192.0.2.0/25 2001:db8:1::7
is "add" 0 "$code" || echo "# $err"
expect timeout world server tcp 80
expect open world server tcp 22
expect open world server udp 53
run "$POLLOAD" filter add bad 10.66.1.2 fd66::/32
expect timeout world server udp 53
run "$POLLOAD" filter list bad
is "list" "10.66.1.2 192.0.2.0/25 2001:db8:1::7 fd66::/32" "$(tr '\n' ' ' <<<"$out" | sed 's/ $//')"
run timeout 300 "$POLLOAD" filter add bad ::/1
is "half of all addresses" 0 "$code" || echo "# $err"
expect timeout world server udp 53
run "$POLLOAD" filter del bad ::/1
run "$POLLOAD" filter del bad 192.0.2.0/25 192.0.2.7
is "what nobody added cannot be taken away" 2 "$code"
like "by name" "set 'bad': nobody added 192.0.2.7" "$err"
expect timeout world server tcp 80
"$POLLOAD" apply dynamic.bpf.o >/dev/null || not_ok "apply"
phase="applied again"
expect timeout world server tcp 80
"$POLLOAD" apply none.bpf.o >/dev/null || not_ok "apply"
"$POLLOAD" rollback >/dev/null || not_ok "rollback"
phase="rolled back"
expect timeout world server tcp 80
run "$POLLOAD" filter del bad 192.0.2.0/25 2001:db8:1::7
is "del" 0 "$code" || echo "# $err"
expect open world server tcp 80
# of both families; distinct, and none of a host here
awk 'BEGIN { for (i = 0; i < 900000; i++) printf "%d.%d.%d.%d\n", 11 + i / 65536, i / 256 % 256, i % 256, i * 7 % 256
	for (i = 0; i < 100000; i++) printf "2001:db8:%x:%x::/64\n", 256 + i / 65536, i % 65536 }' >many
{ cat many; echo 192.0.2.7; echo "2001:db8:1::/48 # comment"; } >longer
run "$POLLOAD" filter replace bad --from - <longer
is "1,000,002 by standard input" 0 "$code" || echo "# $err"
like "counts them" "1000002 now" "$out"
is "and lists them" 1000002 "$("$POLLOAD" filter list bad | wc -l)"
expect timeout world server tcp 80
expect open world server udp 53
echo 300.1.1.1 >>longer
run "$POLLOAD" filter add bad --from longer
is "a bad line" 2 "$code"
like "is named" "longer:1000003:" "$err"
run "$POLLOAD" filter del bad --from many
like "all but two go" "2 now" "$out"
expect timeout world server tcp 80
run "$POLLOAD" filter add nobody 192.0.2.1
is "no such set" 2 "$code"

phase="removed"
run "$POLLOAD" remove
is "remove" 0 "$code" || echo "# $err"
is "nothing hangs at XDP" none "$(xdp)"
is "nor at the other" 0 "$(ip link show dumb0 | grep -c xdp)"
is "nothing is pinned" "" "$(ls bpf/polc 2>/dev/null)"
expect open world server tcp 22
finish
