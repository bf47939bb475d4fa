# shellcheck shell=bash disable=SC2034
# shellcheck source-path=SCRIPTDIR
# SPDX-License-Identifier: GPL-2.0-only
#
# What the measuring scripts share.  One begins with
#
#	here=$(cd "$(dirname "$0")" && pwd)
#	. "$here/lib.sh"
#
# which is tests/e2e/lib.sh (namespaces of its own, containers, compile) and the functions below, and
# ends with bench_done.  It writes what it measures as it goes, one line a measurement, to $BENCH_CSV:
#
#	experiment,case,peer,metric,unit,round,value
#
# case is "key=value key=value", the same keys in the same order for all of an experiment; round counts from 1, and
# what is measured beside each other in one round has the same: quotients and differences are taken within
# a round, because a virtual machine has faster and slower times.  Medians are the report's business
# (report/stats.awk), not the scripts'.  A value that cannot be had has the metric "cannot" and says why.
#
# Environment: BENCH_QUICK=1: few rounds and sizes, to see that all works; ROUNDS.
# Without BENCH_CSV the script is run alone: bench_done prints what came out.

bench_tree=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ -z "${BENCH_CSV:-}" ] || BENCH_CSV=$(realpath "$BENCH_CSV")
. "$bench_tree/../e2e/lib.sh"
bench_alone=${BENCH_CSV:+no}
: "${BENCH_CSV:=$work/samples.csv}"

sample() { # EXPERIMENT CASE PEER METRIC UNIT ROUND VALUE
	if [ -z "${7:-}" ]; then
		echo "no value: $*" >&2
		return
	fi
	printf '%s,%s,%s,%s,%s,%s,%s\n' "$@" >>"$BENCH_CSV"
}

cannot() { # EXPERIMENT CASE PEER WHY...: no such row, and why
	local why=${*:4}
	printf '%s,%s,%s,cannot,,,%s\n' "$1" "$2" "$3" "${why//,/;}" >>"$BENCH_CSV"
}

quick() { # USUAL QUICK
	if [ -n "${BENCH_QUICK:-}" ]; then echo "$2"; else echo "$1"; fi
}

rounds() { # USUAL QUICK: how many
	echo "${ROUNDS:-$(quick "$1" "$2")}"
}

mac_of() { # [NAME] DEVICE: of a device of the host, or in a container
	if [ $# = 2 ]; then inside "$1" ip -o link show "$2"; else ip -o link show "$1"; fi |
		sed 's/.*link.ether \([0-9a-f:]*\).*/\1/'
}

bench_done() {
	[ -n "$bench_alone" ] || bash "$bench_tree/report/report.sh" summary "$BENCH_CSV"
}

# ---- the same rules for all ----------------------------------------------------------------

# Rule i is a prefix of either family and a port: rule_source() and rule_port() of wire.c. Both families are in one
# policy, up to 65,536 rules of each; more are of one family alone, IPv4 unless `families` says v6.
families=
rule_families() { # N
	if [ "$1" -le 65536 ]; then echo "v4 v6"; else echo "${families:-v4}"; fi
}

rule_lines() { # N AWK: awk's statement for each, with p (prefix), six (0 or 1), port, i
	local family
	for family in $(rule_families "$1"); do
		awk -v n="$1" -v family="$family" 'BEGIN {
			six = family == "v6"
			for (i = 0; i < n; i++) {
				port = 1000 + i % 50
				if (six)
					p = sprintf("2001:db8:%x:%x::/64", 16384 + int(i / 65536), i % 65536)
				else
					p = sprintf("%d.%d.%d.0/24", 32 + int(i / 65536), int(i / 256) % 256, i % 256)
				'"$2"'
			}
		}'
	done
}

nft_rules() { # N VERDICT: one rule a line
	rule_lines "$1" 'print (six ? "ip6" : "ip"), "saddr", p, "udp dport", port, "'"$2"'"'
}

nft_sets() { # N: a set for each family
	local family
	for family in $(rule_families "$1"); do
		echo "set $family {"
		echo "type $([ "$family" = v4 ] && echo ipv4_addr || echo ipv6_addr) . inet_service; flags interval; elements = {"
		rule_lines "$1" "if (six == $([ "$family" = v4 ] && echo 0 || echo 1)) print p, \".\", port \",\""
		printf '}\n}\n'
	done
}

nft_by_sets() { # N VERDICT: the rules that ask these sets
	local family
	for family in $(rule_families "$1"); do
		echo "$([ "$family" = v4 ] && echo ip || echo ip6) saddr . udp dport @$family $2"
	done
}
