#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What a policy costs with live frames over veth, as Markdown: between two containers beside the
# plain kernel path, and its rules beside the same rules in nftables.
#
#	wire.sh
#
# Environment: WIRE, the program of wire.c; ROUNDS (7), RULES ("10 100 1000"), and as
# tests/e2e/lib.sh says.  Every figure is the median of the rounds, in each of which all
# variants are measured one after the other; in brackets the lowest and the highest.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../e2e/lib.sh"
wire=${WIRE:-$e2e_build/tests/bench/wire}
[ -x "$wire" ] || skip "$wire is not built"
rounds=${ROUNDS:-7}
frames=10000

container alice 1 "app: alice"
container bob 2 "app: bob"
outside world
ip route add 32.0.0.0/8 via "${v4[world]}"
ip -6 route add 2001:db8:4000::/48 via "${v6[world]}"
host_file alice bob >host.yaml

mac_of() { # COMMAND PREFIX... DEVICE
	"${@:1:$#-1}" ip -o link show "${@: -1}" | sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'
}

# Datagrams end where they arrive: what a receiver's sockets take is not the question.
for name in bob world; do
	inside $name nft -f - <<-END || skip "nftables cannot drop here"
		table netdev sink {
			chain in {
				type filter hook ingress device eth0 priority 0;
				meta l4proto udp drop
			}
		}
	END
done
for to in "${v4[bob]}" "${v6[bob]}"; do
	inside alice "$PROBE" ping "$to" >/dev/null
	inside world "$PROBE" ping "$to" >/dev/null
	spawn bob "$wire" serve "$to"
done

samples() { # KEY VALUE
	echo "$2" >>"$work/s.$1"
}

median() { # KEY
	sort -g "$work/s.$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

cell() { # KEY: median and spread
	sort -g "$work/s.$1" | awk '{ v[NR] = $1 } END { printf " %s [%s, %s] |", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

ratio() { # KEY KEY
	awk -v a="$(median "$1")" -v b="$(median "$2")" 'BEGIN { printf " %.2f |", a / b }'
}

remove() {
	"$POLLOAD" remove >/dev/null 2>&1 || true
	nft delete table inet bench 2>/dev/null || true
}

# ---- between two containers --------------------------------------------------------------

compile local <<'END'
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint alice = app == "alice";
endpoint bob = app == "bob";
policy alice { allow to bob; }
policy bob { allow from alice; }
END

to_bob() { # VARIANT FAMILY ADDRESS
	local said
	said=$(inside alice "$wire" bulk "$3" 700) || bail "bulk, $1"
	samples "rate.$1.$2" "${said% *}"
	samples "cpu.$1.$2" "${said#* }"
	samples "turn.$1.$2" "$(inside alice "$wire" turns "$3" 4000)"
	samples "datagram.$1.$2" "$(inside alice "$wire" datagrams "$3" 50000)"
}

for _ in $(seq "$rounds"); do
	for variant in none polc; do
		[ $variant = none ] || "$POLLOAD" apply local.bpf.o -H host.yaml >/dev/null || bail "apply"
		to_bob $variant v4 "${v4[bob]}"
		to_bob $variant v6 "${v6[bob]}"
		remove
	done
done
echo "Between two containers, routed; medians of $rounds rounds [lowest, highest]"
echo
echo "| | family | TCP, Gbit/s | sender's ns/KiB | one byte to and fro, us | datagram, ns of CPU, all of its way |"
echo "|---|---|---|---|---|---|"
for family in v4 v6; do
	for variant in none polc; do
		printf '| %s | %s |' "${variant/none/no policy}" $family
		for what in rate cpu turn datagram; do
			cell $what.$variant.$family
		done
		echo
	done
	printf '| ratio | %s |' $family
	for what in rate cpu turn datagram; do
		ratio $what.polc.$family $what.none.$family
	done
	echo
done

# ---- the same rules in nftables -------------------------------------------------------------

nft_table() { # RULES, of the chain
	echo "table inet bench {"
	[ $# = 1 ] || echo "$2"
	echo "chain forward { type filter hook forward priority 0; policy drop;"
	echo "ct state established,related accept"
	echo "$1"
	echo "}"
	echo "}"
}

# Each rule is a prefix of either family and a port: rule_source() and rule_port() of wire.c.
write_rules() { # RULES
	local i v4s="" v6s="" linear="" policy="" first="" second="" one two port p4 p6
	for i in $(seq 0 $(($1 - 1))); do
		p4="$((32 + i / 65536)).$((i / 256 % 256)).$((i % 256)).0/24"
		printf -v p6 '2001:db8:4000:%x::/64' "$i"
		port=$((1000 + i % 50))
		one="ip saddr $p4 udp dport $port accept"$'\n' two="ip6 saddr $p6 udp dport $port accept"$'\n'
		linear+=$one$two
		# nft folds what stands together
		first+=$one
		second+=$two
		v4s+="$p4 . $port,"$'\n'
		v6s+="$p6 . $port,"$'\n'
		policy+="allow from $p4, $p6 on udp $port;"$'\n'
	done
	nft_table "$linear" >linear.nft
	nft_table "$first$second" >folded.nft
	nft_table "ip saddr . udp dport @four accept"$'\n'"ip6 saddr . udp dport @six accept" \
		"set four { type ipv4_addr . inet_service; flags interval; elements = { $v4s } }
		set six { type ipv6_addr . inet_service; flags interval; elements = { $v6s } }" >sets.nft
	compile rules <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint bob = app == "bob";
policy bob { $policy }
END
}

arrived() {
	inside bob ip -s -j link show eth0 | jq '.[0].stats64.rx.packets'
}

wire_frames() { # frames|answers FAMILY RULES SALT
	local a=${v4[bob]}
	[ "$2" = v4 ] || a=${v6[bob]}
	if [ "$1" = frames ]; then
		inside world "$wire" frames eth0 "$(mac_of inside world eth0)" "$(mac_of up0)" "$a" "$3" $frames "$4"
	else
		inside bob "$wire" answers eth0 "$(mac_of inside bob eth0)" "$(mac_of v-bob)" "$a" "$3" $frames "$4"
	fi
}

variant_on() { # VARIANT
	case $1 in
	none) ;;
	# without what nftables' rules have left in the kernel's table of connections: it would fill ours
	polc) "$POLLOAD" apply rules.bpf.o -H host.yaml --no-import >/dev/null ;;
	linear) nft -f linear.nft ;;
	sets) nft -f sets.nft ;;
	folded) nft -o -f folded.nft 2>folded.out >&2 ;;
	esac || bail "$1 cannot be installed"
}

variants="none polc linear sets folded"
salt=0
for rules in ${RULES:-10 100 1000}; do
	write_rules "$rules"
	for _ in $(seq "$rounds"); do
		for variant in $variants; do
			variant_on "$variant"
			for family in v4 v6; do
				salt=$((salt + 1))
				before=$(arrived)
				samples "new.$variant.$family.$rules" "$(wire_frames frames $family "$rules" $salt)"
				[ $(($(arrived) - before)) -ge $((frames * 99 / 100)) ] ||
					echo "note: $variant, $rules rules, $family: only $(($(arrived) - before)) of $frames arrived" >&2
				wire_frames answers $family "$rules" $salt >/dev/null
				samples "old.$variant.$family.$rules" "$(wire_frames frames $family "$rules" $salt)"
			done
			remove
		done
	done
done

over() { # WHAT VARIANT FAMILY RULES: ns more than without any policy
	awk -v a="$(median "$1.$2.$3.$4")" -v b="$(median "$1.none.$3.$4")" 'BEGIN { printf "%.0f", a - b }'
}

echo
echo "Frames from an uplink to a container, all of a flow of its own, allowed by one of N rules (a prefix, a port; stateful);"
echo "ns of CPU, medians of $rounds rounds [lowest, highest]; over none: what the policy adds"
echo
echo "| rules | family | | first packet | over none | to polc | later packet | over none | to polc |"
echo "|---|---|---|---|---|---|---|---|---|"
for rules in ${RULES:-10 100 1000}; do
	for family in v4 v6; do
		for variant in $variants; do
			printf '| %s | %s | %s |' "$rules" $family "$variant"
			for what in new old; do
				cell "$what.$variant.$family.$rules"
				printf ' %s |' "$(over $what "$variant" $family "$rules")"
				awk -v a="$(over $what "$variant" $family "$rules")" \
					-v b="$(over $what polc $family "$rules")" \
					'BEGIN { if (b > 0) printf " %.1f |", a / b; else printf " |" }'
			done
			echo
		done
	done
done
