#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# Filters and services beside other XDP programs, behind libxdp's dispatcher on the uplink: joined at apply,
# order, chain, verdicts and XDP_TX; others come and go; taken out and put back; left and removed.  Where the kernel or
# libxdp do not let it in: refused by name, and the dispatcher and its programs are as they were.
. "$(dirname "$0")/lib.sh"

container server 1 "app: server"
container other 2 "app: server"
outside world
for port in 22 80 8081 8082 8083; do
	serve server tcp $port
	serve other tcp $port
done
inside world ip route add 198.51.100.10 via 192.0.2.1
inside world ip -6 route add 2001:db8:2::10 via 2001:db8:1::1
v4[vip]=198.51.100.10
v6[vip]=2001:db8:2::10
host_file server other | sed 's/^uplinks.*/&\ndirect: [up0]/' >host.yaml
export LIBXDP_BPFFS=$work/bpf

policy() { # TEXT...
	cat <<END_OF_POLICY
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint server = app == "server";
policy server { allow from any; allow to any; }
$*
END_OF_POLICY
}
policy 'filter edge on up0 { drop on tcp 22; pass; }' | compile edge

# A program that drops one TCP port and counts what it sees by the low byte of the port, ICMP as 255; it
# wants to stand at that priority.
side() { # NAME PRIORITY PORT
	cat >"$1.c" <<END_OF_C
struct xdp_md { unsigned data, data_end; };
static void *(*lookup)(void *, const void *) = (void *)1;
struct {
	int (*type)[2];
	unsigned *key;
	unsigned long long *value;
	int (*max_entries)[256];
} seen_$1 __attribute__((section(".maps"), used));
struct {
	int (*priority)[$2];
	int (*XDP_PASS)[1];
} _$1 __attribute__((section(".xdp_run_config"), used));
__attribute__((section("xdp"), used)) int $1(struct xdp_md *ctx)
{
	unsigned char *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *l4, protocol;
	unsigned port, key;
	unsigned long long *n;
	if (p + 38 > end)
		return 2;
	l4 = p + 34;
	protocol = p[23];
	if (p[12] == 0x86) {
		l4 = p + 54;
		protocol = p[20];
	}
	if (l4 + 4 > end || (protocol != 6 && protocol != 1 && protocol != 58))
		return 2;
	port = protocol == 6 ? l4[2] << 8 | l4[3] : 255;
	key = port & 255;
	n = lookup(&seen_$1, &key);
	if (n)
		__sync_fetch_and_add(n, 1);
	return port == $3 ? 1 : 2;
}
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
END_OF_C
	${CLANG:-clang} -O2 -g -target bpf -c "$1.c" -o "$1.o" || bail "cannot compile $1"
}
side before 1 8081
side behind 60 8082
# the other end of a veth takes what XDP sends only with a program of its own
printf '%s\n' '__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }' \
	'char LICENSE[] __attribute__((section("license"), used)) = "GPL";' >pass.c
${CLANG:-clang} -O2 -g -target bpf -c pass.c -o pass.o || bail "cannot compile"
inside world ip link set dev eth0 xdp obj pass.o sec xdp || bail "cannot attach"

program() { # of up0: its number; nothing: none
	ip -j link show up0 | jq -r '.[0].xdp.prog.id // empty'
}
standing() { # what stands in the dispatcher, in order
	xdp-loader status up0 | awk '$1 == "=>" { print $3 }' | paste -sd ' '
}
ours() { # the number of ours in it
	xdp-loader status up0 | awk '$1 == "=>" && $3 == "polload_xdp" { print $4 }'
}
loads() { # FILE [OPTION...]
	run xdp-loader load "${@:2}" up0 "$1"
	[ "$code" = 0 ] || bail "xdp-loader: $err"
}
seen() { # NAME PORT: packets that it has seen of that port
	bpftool -j map dump name "seen_$1" | jq ".[$(($2 & 255))].formatted.value"
}
status() {
	"$POLLOAD" status --json
}
in_place() { # WHAT
	is "$1: it stands there" "native up0 0" "$(status | jq -r '"\(.xdp.up0) \(.xdp_dispatchers | join(" ")) \(.missing | length)"')"
}

# ---- a program that is no dispatcher, and one that only has the name -------------------------------

sed 's/int behind(/int xdp_dispatcher(/' behind.c >named.c
${CLANG:-clang} -O2 -g -target bpf -c named.c -o named.o || bail "cannot compile"
ip link set dev up0 xdp obj named.o sec xdp || bail "cannot attach"
before=$(program)
run "$POLLOAD" apply edge.bpf.o -H host.yaml
is "what only has the name of a dispatcher is refused" 3 "$code"
like "by the interface's name" "interface 'up0'" "$err"
like "and why" "dispatcher" "$err"
is "and left alone" "$before" "$(program)"
is "nothing is in force" 1 "$("$POLLOAD" status >/dev/null 2>&1; echo $?)"
ip link set dev up0 xdp off
if ! command -v xdp-loader >/dev/null || ! command -v bpftool >/dev/null; then
	echo "# needs xdp-loader (Debian: xdp-tools) and bpftool for more than that"
	finish
fi

# ---- a dispatcher, and us after it -------------------------------------------------------------------

loads behind.o
dispatcher=$(program)
run "$POLLOAD" apply edge.bpf.o -H host.yaml
if [ "$(standing)" != "polload_xdp behind" ]; then
	# a kernel that loads no extensions, or one that lets none that changes packets into a dispatcher of this libxdp
	echo "# refused: $err"
	is "where it cannot be joined, apply fails" 3 "$code"
	like "by the interface's name" "interface 'up0'" "$err"
	like "and what can be done is said" "= help:" "$err"
	is "the program is the one that was there" "$dispatcher" "$(program)"
	is "nothing is in force" 1 "$("$POLLOAD" status >/dev/null 2>&1; echo $?)"
	is "nothing is left" "" "$(ls bpf/polc 2>/dev/null)"
	expect timeout world server tcp 8082
	expect open world server tcp 22
	if xdp-loader status up0 | grep -q xdp_dispatcher; then
		is "its programs stand as they did" behind "$(standing)"
	fi
	[ -z "${POLC_DISPATCHER:-}" ] || not_ok "it can be joined on this kernel (POLC_DISPATCHER)"
	finish
fi

policy | compile none
policy 'filter edge on up0 { drop on tcp 8083; pass; }
service shop { vip 198.51.100.10, 2001:db8:2::10 on tcp 81; backend server on tcp 80; }' | compile shop

phase="joined"
is "apply" 0 "$code"
like "it is said" "interface 'up0': joined libxdp's dispatcher, at priority 5" "$err"
in_place "joined"
like "status says so" "up0 (XDP native, libxdp's dispatcher)" "$("$POLLOAD" status)"
is "all is in place" 0 "$("$POLLOAD" status >/dev/null; echo $?)"
expect timeout world server tcp 22
expect open world server tcp 80
expect timeout world server tcp 8082
expect open world server tcp 8081
is "what we drop is not seen behind us" 0 "$(seen behind 22)"
expect open world server ping
is "what we pass is" "true true" "$([ "$(seen behind 80)" -gt 0 ] && echo true) $([ "$(seen behind 255)" -gt 0 ] && echo true)"
is "what we drop is counted" true "$("$POLLOAD" rules --json | jq '[.[] | select(.direction == "filter" and (.text | contains("tcp 22"))) | .packets] | add > 1')"

phase="another policy"
dispatcher=$(program)
number=$(ours)
run "$POLLOAD" apply shop.bpf.o
is "apply, and nothing is said" "0 " "$code $err"
is "the dispatcher is the same" "$dispatcher $number" "$(program) $(ours)"
expect open world server tcp 22
expect timeout world server tcp 8083
expect open world vip tcp 81

phase="others come"
loads before.o
is "they stand by their priorities" "before polload_xdp behind" "$(standing)"
is "ours is the same" "$number" "$(ours)"
in_place "others come"
expect timeout world server tcp 8081
expect timeout world server tcp 8082
expect timeout world server tcp 8083
expect open world server tcp 22
expect open world vip tcp 81
is "before us all is seen" true "$([ "$(seen before 8083)" -gt 0 ] && echo true)"
is "behind us not what we drop" 0 "$(seen behind 8083)"
# echo to the VIP is answered here: sent back by XDP, so nobody behind us sees it
asked=$(seen before 255)
unheard=$(seen behind 255)
expect open world vip ping
is "before us the echo was seen" true "$([ "$(seen before 255)" -gt "$asked" ] && echo true)"
is "its answer went back past those behind us" "$unheard" "$(seen behind 255)"

phase="rolled back"
run "$POLLOAD" rollback
is "rollback" "0 " "$code $err"
expect timeout world server tcp 22
expect open world server tcp 8083
expect timeout world server tcp 8081

phase="others go"
run xdp-loader unload up0 --id "$(xdp-loader status up0 | awk '$3 == "before" { print $4 }')"
is "taken out" 0 "$code"
is "ours stays" "polload_xdp behind" "$(standing)"
in_place "others go"
expect open world server tcp 8081
expect timeout world server tcp 22

phase="taken out"
run xdp-loader unload up0 --id "$number"
is "somebody takes ours out" "0 behind" "$code $(standing)"
run "$POLLOAD" status
is "status fails" 1 "$code"
like "and says so" "its XDP hook is not in place" "$out"
run "$POLLOAD" apply edge.bpf.o
is "apply puts it back" 0 "$code"
is "where it stood" "polload_xdp behind" "$(standing)"
in_place "put back"
expect timeout world server tcp 22

phase="its pins are gone"
rm -r bpf/xdp
run "$POLLOAD" status
is "status fails" 1 "$code"
run "$POLLOAD" apply edge.bpf.o
is "a dispatcher without pins is refused" 3 "$code"
like "and it is said where they belong" "/sys/fs/bpf/xdp" "$err"
ip link set dev up0 xdp off
loads behind.o
run "$POLLOAD" apply edge.bpf.o
is "and joined when it is made again" "0 polload_xdp behind" "$code $(standing)"

phase="a life before"
number=$(ours)
find bpf/polc -type f -delete && rm -r bpf/polc
run "$POLLOAD" apply edge.bpf.o -H host.yaml
is "apply over it" 0 "$code" || echo "# $err"
is "one of ours stands there" "polload_xdp behind" "$(standing)"
is "the one of now" true "$([ "$(ours)" != "$number" ] && echo true)"
in_place "a life after"
expect timeout world server tcp 22
expect open world server tcp 80

phase="no filter"
"$POLLOAD" apply none.bpf.o >/dev/null || not_ok "apply"
is "it leaves" behind "$(standing)"
expect open world server tcp 22
expect timeout world server tcp 8082
like "status says what is before us" "up0 (behind libxdp's dispatcher)" "$("$POLLOAD" status)"
"$POLLOAD" apply edge.bpf.o >/dev/null 2>&1 || not_ok "apply"
is "and comes again" "polload_xdp behind" "$(standing)"

phase="removed"
run "$POLLOAD" remove
is "remove" 0 "$code"
is "the others stay" behind "$(standing)"
expect open world server tcp 22
expect timeout world server tcp 8082
is "nothing of ours is left" "" "$(ls -d bpf/polc 2>/dev/null)"

phase="an endpoint's device"
xdp-loader load v-other behind.o >/dev/null 2>&1 || bail "xdp-loader"
run "$POLLOAD" apply edge.bpf.o -H host.yaml
is "before an endpoint a dispatcher is refused" 3 "$code"
like "by name" "interface 'v-other': XDP program 'xdp_dispatcher'" "$err"
like "and how it is taken away is said" "xdp-loader unload v-other --all" "$err"
is "nothing was joined" behind "$(standing)"
xdp-loader unload v-other --all

phase="generic"
xdp-loader unload up0 --all
loads behind.o -m skb
run "$POLLOAD" apply edge.bpf.o -H host.yaml
is "apply" 0 "$code" || echo "# $err"
is "in the mode that it has" generic "$(status | jq -r .xdp.up0)"
expect timeout world server tcp 22
expect open world server tcp 80
"$POLLOAD" remove >/dev/null || not_ok "remove"
xdp-loader unload up0 --all

phase="us first"
"$POLLOAD" apply edge.bpf.o -H host.yaml >/dev/null || not_ok "apply"
run xdp-loader load up0 behind.o
is "who comes later finds the place taken" true "$([ "$code" != 0 ] && echo true)"
is "ours is there" native "$(status | jq -r .xdp.up0)"
ip link set dev up0 xdp off
loads behind.o
run "$POLLOAD" apply edge.bpf.o
is "let in first, it is joined" "0 polload_xdp behind" "$code $(standing)"
expect timeout world server tcp 22
expect timeout world server tcp 8082
"$POLLOAD" remove >/dev/null || not_ok "remove"
is "and stays" behind "$(standing)"
finish
