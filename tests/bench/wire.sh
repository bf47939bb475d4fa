#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What a policy costs with live frames over veth: between two containers beside the plain kernel path (experiment
# `local`), and from an uplink to a container, its rules beside the same rules in nftables (`veth`, `connections`).
# How long either takes to be put in force is `install`, what the kernel then holds for it `memory`.
#
#	wire.sh
#
# Environment: WIRE, the program of wire.c; RULES, LOCAL_ROUNDS, and as lib.sh says.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
wire=${WIRE:-$e2e_build/tests/bench/wire}
[ -x "$wire" ] || skip "$wire is not built"
usual=$(rounds 7 2)
frames=10000

container alice 1 "app: alice"
container bob 2 "app: bob"
outside world
ip route add 32.0.0.0/7 via "${v4[world]}"
ip -6 route add 2001:db8:4000::/47 via "${v6[world]}"
host_file alice bob >host.yaml

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

off() {
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

to_bob() { # ROUND VARIANT FAMILY ADDRESS
	local case="family=$3" said
	said=$(inside alice "$wire" bulk "$4" 500) || bail "bulk, $2"
	sample local "$case" "$2" rate Gbit/s "$1" "${said% *}"
	sample local "$case" "$2" cpu ns/KiB "$1" "${said#* }"
	sample local "$case" "$2" turn us "$1" "$(inside alice "$wire" turns "$4" 4000)"
	sample local "$case" "$2" datagram ns "$1" "$(inside alice "$wire" datagrams "$4" 50000)"
}

for ((round = 1; round <= ${LOCAL_ROUNDS:-$(quick 15 2)}; round++)); do
	for variant in none polc; do
		[ $variant = none ] || "$POLLOAD" apply local.bpf.o -H host.yaml >/dev/null || bail "apply"
		to_bob "$round" $variant v4 "${v4[bob]}"
		to_bob "$round" $variant v6 "${v6[bob]}"
		off
	done
done

# ---- the same rules in nftables -------------------------------------------------------------

nft_table() { # FILE WITH THE SETS, RULES on the standard input
	echo "table inet bench {"
	[ -z "$1" ] || cat "$1"
	echo "chain forward { type filter hook forward priority 0; policy drop;"
	echo "ct state established,related accept"
	cat
	printf 'ip saddr 192.0.2.0/24 tcp dport 7 accept\nip6 saddr 2001:db8:1::/64 tcp dport 7 accept\n}\n}\n'
}

write_rules() { # RULES
	nft_rules "$1" accept | nft_table "" >nft-linear.nft
	cp nft-linear.nft nft-folded.nft
	nft_sets "$1" >sets
	nft_by_sets "$1" accept | nft_table sets >nft-sets.nft
	compile rules <<END
default deny;
pool 10.66.0.0/16, fd66::/48;
endpoint bob = app == "bob";
policy bob {
	$(rule_lines "$1" 'print "allow from", p, "on udp", port ";"')
	allow from 192.0.2.0/24, 2001:db8:1::/64 on tcp 7;
}
END
}

on() { # VARIANT: false: it cannot be had, and why is in on.out
	case $1 in
	none) ;;
	# without what nftables' rules have left in the kernel's table of connections: it would fill ours
	polc) "$POLLOAD" apply rules.bpf.o -H host.yaml --no-import >/dev/null ;;
	nft-folded) timeout 60 nft -o -f nft-folded.nft ;;
	*) timeout 60 nft -f "$1.nft" ;;
	esac >on.out 2>&1
}

# KiB that the kernel holds of its own: rules and sets of nftables are in slabs, maps of BPF in vmalloc and per CPU.
held() {
	awk '/^(Slab|VmallocUsed|Percpu):/ { s += $2 } END { print s }' /proc/meminfo
}

arrived() {
	inside bob ip -s -j link show eth0 | jq '.[0].stats64.rx.packets'
}

wire_frames() { # frames|answers FAMILY RULES COUNT SALT
	local a=${v4[bob]}
	[ "$2" = v4 ] || a=${v6[bob]}
	if [ "$1" = frames ]; then
		inside world "$wire" frames eth0 "$(mac_of world eth0)" "$(mac_of up0)" "$a" "$3" "$4" "$5"
	else
		inside bob "$wire" answers eth0 "$(mac_of bob eth0)" "$(mac_of v-bob)" "$a" "$3" "$4" "$5"
	fi
}

salt=0
measure() { # ROUND VARIANT RULES
	local family to before n=$frames case
	case $2-$3 in nft-linear-100000) n=100 ;; nft-linear-10000) n=1000 ;; esac
	for family in $(rule_families "$3"); do
		case="rules=$3 family=$family"
		salt=$((salt + 1))
		before=$(arrived)
		sample veth "$case" "$2" first ns "$1" "$(wire_frames frames "$family" "$3" "$n" $salt)"
		[ $(($(arrived) - before)) -ge $((n * 99 / 100)) ] ||
			echo "note: $2, $3 rules, $family: only $(($(arrived) - before)) of $n arrived" >&2
		wire_frames answers "$family" "$3" "$n" $salt >/dev/null
		sample veth "$case" "$2" later ns "$1" "$(wire_frames frames "$family" "$3" "$n" $salt)"
		to=${v4[bob]}
		[ "$family" = v4 ] || to=${v6[bob]}
		sample connections "$case" "$2" rate 1/s "$1" "$(inside world "$wire" connects "$to" 150)"
	done
}

# Of more than 65,536 rules each family is in a policy of its own; what is put in force and held is told of IPv4's.
for rules in ${RULES:-$(quick "10 100 1000 10000 100000 100000/v6" "10 1000")}; do
	families=${rules#*/}
	[ "$families" != "$rules" ] || families=
	rules=${rules%/*}
	write_rules "$rules"
	often=$usual
	[ "$rules" -lt 10000 ] || often=$(((usual + 1) / 2))
	[ "$rules" -lt 100000 ] || often=$(((usual + 2) / 3))
	for ((round = 1; round <= often; round++)); do
		for variant in none polc nft-linear nft-sets nft-folded; do
			[ ! -e "cannot.$variant.$rules$families" ] || continue
			[ "$round" -gt 3 ] || sleep 0.5 # what was removed before is freed a while later
			before=$(held) began=$(date +%s%N)
			if ! on "$variant"; then
				: >"cannot.$variant.$rules$families"
				for family in $(rule_families "$rules"); do
					cannot veth "rules=$rules family=$family" "$variant" "not within a minute: $(head -n 1 on.out | cut -c1-60)"
				done
				[ -n "$families" ] || cannot install "rules=$rules" "$variant" "not within a minute"
				off
				continue
			fi
			took=$((($(date +%s%N) - began) / 1000000))
			if [ "$variant" != none ] && [ -z "$families" ]; then
				sample install "rules=$rules" "$variant" wall ms "$round" $took
				[ "$round" -gt 3 ] || sample memory "rules=$rules" "$variant" kernel KiB "$round" $(($(held) - before))
			fi
			measure "$round" "$variant" "$rules"
			off
		done
	done
done
bench_done
