#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What dropping a frame at an uplink costs: a filter of N lines at XDP, beside an XDP program that does nothing but
# drop (empty); and the same lines in nftables at the device's ingress hook, one rule a line, concatenated sets, and
# as `nft -o` folds them, beside one rule that drops everything there (all). The same generator, live frames over
# veth, all in turn in each round. A veth makes an XDP frame of each skb first, so each kind has its own floor.
#
#	edge.sh
#
# Environment: WIRE, the program of wire.c; ROUNDS (5), SIZES ("10 1000 10000 100000"), FRAMES (10000), and
# as tests/e2e/lib.sh says. A line is a prefix and a port, each frame is for another line. Where one line after the
# other is tried for 10,000 lines and more, fewer frames are sent.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../e2e/lib.sh"
wire=${WIRE:-$e2e_build/tests/bench/wire}
[ -x "$wire" ] || skip "$wire is not built"
command -v nft >/dev/null || skip "no nft"
rounds=${ROUNDS:-5}
frames=${FRAMES:-10000}

outside world
echo "uplinks: [up0]" >host.yaml
mac() { "$@" | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'; }
from=$(mac inside world ip -o link show eth0)
to=$(mac ip -o link show up0)

cat >drop.c <<'END'
int drop(void *ctx) __attribute__((section("xdp")));
int drop(void *ctx) { (void)ctx; return 1; }
char _license[] __attribute__((section("license"))) = "GPL";
END
"${CLANG:-clang}" -O2 -target bpf -c drop.c -o drop.o || skip "clang has no bpf target"

# Line i: rule_source() and rule_port() of wire.c; IPv6 has 65,536 of them.
lines() { # N PRINT: awk's, of p (prefix), six (its family), port and i
	awk -v n="$1" 'BEGIN {
		for (six = 0; six < (n > 65536 ? 1 : 2); six++)
			for (i = 0; i < n; i++) {
				port = 1000 + i % 50
				if (six)
					p = sprintf("2001:db8:4000:%x::/64", i)
				else
					p = sprintf("%d.%d.%d.0/24", 32 + int(i / 65536), int(i / 256) % 256, i % 256)
				'"$2"'
			}
		}'
}

chain() { # RULES on the standard input
	echo "chain in { type filter hook ingress device up0 priority 0; policy accept;"
	cat
	printf '}\n}\n'
}

set_of() { # N FAMILY NAME TYPE
	echo "set $3 { type $4 . inet_service; flags interval; elements = {"
	lines "$1" "if (six == $2) print p, \".\", port \",\""
	printf '}\n}\n'
}

write() { # N
	{
		echo "default deny; pool 10.66.0.0/16, fd66::/48; filter edge on up0 {"
		lines "$1" 'print "drop from", p, "on udp", port ";"'
		echo "pass; }"
	} >lines.pol
	"$POLC" lines.pol -o lines.bpf.o 2>lines.err || bail "$1 lines: $(head -n 3 lines.err)"
	{
		echo "table netdev bench {"
		lines "$1" 'print (six ? "ip6" : "ip"), "saddr", p, "udp dport", port, "drop"' | chain
	} >linear.nft
	cp linear.nft folded.nft
	{
		echo "table netdev bench {"
		set_of "$1" 0 four ipv4_addr
		[ "$1" -gt 65536 ] || set_of "$1" 1 six ipv6_addr
		{
			echo "ip saddr . udp dport @four drop"
			[ "$1" -gt 65536 ] || echo "ip6 saddr . udp dport @six drop"
		} | chain
	} >sets.nft
}

on() { # VARIANT: false: it cannot be had
	case $1 in
	empty) ip link set dev up0 xdpdrv obj drop.o sec xdp ;;
	polc) "$POLLOAD" apply lines.bpf.o -H host.yaml >/dev/null ;;
	all) nft 'table netdev bench { chain in { type filter hook ingress device up0 priority 0; policy drop; }; }' ;;
	folded) timeout 120 nft -o -f folded.nft ;;
	*) timeout 120 nft -f "$1.nft" ;;
	esac >on.out 2>&1
}

off() {
	ip link set dev up0 xdpdrv off 2>/dev/null
	"$POLLOAD" remove >/dev/null 2>&1
	nft delete table netdev bench 2>/dev/null
	true
}

sample() { # VARIANT FAMILY N
	local address=192.0.2.1 n=$frames got
	[ "$2" = v4 ] || address=2001:db8:1::1
	case $1-$3 in linear-10000* | folded-10000*) n=$((frames / 20)) ;; esac
	inside world "$wire" frames eth0 "$from" "$to" "$address" "$3" "$n" "$RANDOM" >/dev/null # tables come into the caches
	got=$(inside world "$wire" frames eth0 "$from" "$to" "$address" "$3" "$n" "$RANDOM") || bail "frames"
	echo "$got" >>"s.$1.$2.$3"
}

# Of what a round had more than its floor in the same round: a host has faster and slower times.
over() { # VARIANT FAMILY N
	local floor=all
	case $1 in empty | polc) floor=empty ;; esac
	paste "s.$1.$2.$3" "s.$floor.$2.$3" | awk '{ print $1 - $2 }' | sort -g |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
cell() { sort -g "s.$1" | awk '{ v[NR] = $1 } END { printf " %s [%s, %s] |", v[int((NR + 1) / 2)], v[1], v[NR] }'; }

variants="empty polc all linear sets folded"
sizes=${SIZES:-10 1000 10000 100000}
for n in $sizes; do
	write "$n"
	families="v4 v6"
	[ "$n" -le 65536 ] || families=v4
	for ((round = 0; round < rounds; round++)); do
		for variant in $variants; do
			[ ! -e "cannot.$variant.$n" ] || continue
			if ! on "$variant"; then
				head -n 1 on.out >"cannot.$variant.$n"
				off
				continue
			fi
			for family in $families; do sample "$variant" "$family" "$n"; done
			off
		done
	done
done

echo "Frames dropped at an uplink by one of N lines (a prefix, a port); ns of CPU a frame, generator included,"
echo "medians of $rounds rounds [lowest, highest]; over floor: the median of what the lines add, in a round, to what drops at once, empty or all"
echo
echo "| lines | family | | ns | over floor | to polc |"
echo "|---|---|---|---|---|---|"
for n in $sizes; do
	for family in v4 v6; do
		[ -e "s.polc.$family.$n" ] || continue
		for variant in $variants; do
			if [ -e "cannot.$variant.$n" ]; then
				echo "| $n | $family | $variant | not within two minutes, or not at all: $(cut -c1-60 "cannot.$variant.$n") | | |"
				continue
			fi
			printf '| %s | %s | %s |' "$n" "$family" "$variant"
			cell "$variant.$family.$n"
			over=$(over "$variant" "$family" "$n")
			awk -v a="$over" -v b="$(over polc "$family" "$n")" \
				'BEGIN { printf " %.0f |", a; if (b > 0) printf " %.1f |", a / b; else printf " |"; print "" }'
		done
	done
done
