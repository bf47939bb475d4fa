#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What dropping a frame at an uplink costs (experiment `edge`): a filter of N lines at XDP, beside an XDP program that
# does nothing but drop (empty); the same lines in nftables at the device's ingress hook, one rule a line, concatenated
# sets, and as `nft -o` folds them, beside one rule that drops everything there (all); and in bpfilter where that is in
# the path (`make bench-peers`), one rule a line and a set of prefixes for each port. The same generator, live frames over
# veth, all in turn in each round. A veth makes an XDP frame of each skb first, and bpfilter attaches to skbs
# (generic XDP) whatever the device can, so each kind has its own floor.
#
#	edge.sh
#
# Environment: WIRE, the program of wire.c; SIZES, FRAMES (10000), and as lib.sh says. A line is a prefix and a port,
# each frame is for another line. Where one line after the other is tried for 10,000 lines and more, fewer frames are sent.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
wire=${WIRE:-$e2e_build/tests/bench/wire}
[ -x "$wire" ] || skip "$wire is not built"
command -v nft >/dev/null || skip "no nft"
usual=$(rounds 5 2)
frames=${FRAMES:-10000}

outside world
echo "uplinks: [up0]" >host.yaml
from=$(mac_of world eth0)
to=$(mac_of up0)

cat >drop.c <<'END'
int drop(void *ctx) __attribute__((section("xdp")));
int drop(void *ctx) { (void)ctx; return 1; }
char _license[] __attribute__((section("license"))) = "GPL";
END
"${CLANG:-clang}" -O2 -target bpf -c drop.c -o drop.o || skip "clang has no bpf target"

nft_table() { # FILE WITH THE SETS, RULES on the standard input
	echo "table netdev bench {"
	[ -z "$1" ] || cat "$1"
	echo "chain in { type filter hook ingress device up0 priority 0; policy accept;"
	cat
	printf '}\n}\n'
}

write() { # N
	{
		echo "default deny; pool 10.66.0.0/16, fd66::/48; filter edge on up0 {"
		rule_lines "$1" 'print "drop from", p, "on udp", port ";"'
		echo "pass; }"
	} >lines.pol
	"$POLC" lines.pol -o lines.bpf.o 2>lines.err || bail "$1 lines: $(head -n 3 lines.err)"
	nft_rules "$1" drop | nft_table "" >nft-linear.nft
	cp nft-linear.nft nft-folded.nft
	nft_sets "$1" >sets
	nft_by_sets "$1" drop | nft_table sets >nft-sets.nft
	{
		bpfilter_chain
		rule_lines "$1" 'print "rule", (six ? "ip6" : "ip4") ".snet eq", p, "udp.dport eq", port, "DROP"'
	} >bpfilter-linear.chain
	{
		bpfilter_chain
		rule_lines "$1" 'print (six ? "ip6" : "ip4"), port, p' | awk '
		{ of[$1 " udp.dport eq " $2] = of[$1 " udp.dport eq " $2] $3 "\n" }
		END {
			for (k in of)
				printf "rule (%s.snet) in {\n%s}\n%s DROP\n", substr(k, 1, 3), of[k], substr(k, 5)
		}'
	} >bpfilter-sets.chain
}

bpfilter_chain() {
	echo "chain edge BF_HOOK_XDP{ifindex=$(ip -o link show up0 | cut -d: -f1)} ACCEPT"
}

# Its daemon, which ends with this script; a host's own is not asked.
bpfilter_begin() {
	local i
	mkdir -p /run/bpfilter && mount -t tmpfs tmpfs /run/bpfilter || return
	bpfilter --transient --bpffs-path="$work/bpf" >bpfilter.log 2>&1 &
	for ((i = 0; i < 200; i++)); do
		[ ! -S /run/bpfilter/daemon.sock ] || return 0
		sleep 0.05
	done
	return 1
}

on() { # VARIANT: false: it cannot be had, and why is in on.out
	case $1 in
	empty) ip link set dev up0 xdpdrv obj drop.o sec xdp ;;
	empty-generic) ip link set dev up0 xdpgeneric obj drop.o sec xdp ;;
	polc) "$POLLOAD" apply lines.bpf.o -H host.yaml >/dev/null ;;
	all) nft 'table netdev bench { chain in { type filter hook ingress device up0 priority 0; policy drop; }; }' ;;
	nft-folded) timeout 60 nft -o -f nft-folded.nft ;;
	bpfilter-*) timeout 60 bfcli ruleset set --from-file "$1.chain" ;;
	*) timeout 60 nft -f "$1.nft" ;;
	esac >on.out 2>&1
}

refused() { # EXIT CODE
	if [ "$1" = 124 ]; then echo "not within a minute"; else grep . on.out | tail -n 1 | sed 's/^error *: //' | cut -c1-60; fi
}

off() {
	ip link set dev up0 xdpdrv off 2>/dev/null
	ip link set dev up0 xdpgeneric off 2>/dev/null
	"$POLLOAD" remove >/dev/null 2>&1
	nft delete table netdev bench 2>/dev/null
	[ -z "$bpfilter" ] || bfcli ruleset flush >/dev/null 2>&1
	true
}

send() { # FAMILY N COUNT
	local address=192.0.2.1
	[ "$1" = v4 ] || address=2001:db8:1::1
	inside world "$wire" frames eth0 "$from" "$to" $address "$2" "$3" "$RANDOM"
}

measure() { # ROUND VARIANT N
	local family n=$frames
	case $2-$3 in nft-linear-100000) n=100 ;; nft-linear-10000) n=1000 ;; esac
	for family in $(rule_families "$3"); do
		send "$family" "$3" "$n" >/dev/null # tables come into the caches
		sample edge "lines=$3 family=$family" "$2" frame ns "$1" "$(send "$family" "$3" "$n")"
	done
}

variants="empty polc all nft-linear nft-sets nft-folded"
bpfilter=
if command -v bfcli >/dev/null && command -v bpfilter >/dev/null && bpfilter_begin; then
	bpfilter=yes
	variants+=" empty-generic bpfilter-linear bpfilter-sets"
else
	cannot edge - bpfilter-linear "not in the path: make bench-peers"
	cannot edge - bpfilter-sets "not in the path: make bench-peers"
fi

for n in ${SIZES:-$(quick "10 100 1000 10000 100000" "10 1000")}; do
	write "$n"
	often=$usual
	[ "$n" -lt 100000 ] || often=$(((usual + 1) / 2))
	for ((round = 1; round <= often; round++)); do
		for variant in $variants; do
			[ ! -e "cannot.$variant.$n" ] || continue
			if on "$variant"; then
				measure "$round" "$variant" "$n"
			else
				why=$(refused $?)
				: >"cannot.$variant.$n"
				for family in $(rule_families "$n"); do
					cannot edge "lines=$n family=$family" "$variant" "$why"
				done
			fi
			off
		done
	done
done
bench_done
