#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the questions cost: lint, diff of one changed rule, explain, verify of the tables, on generated
# policies and on the rule sets of the corpus written as policies.  One thread, loading included;
# a Markdown table.  The median of the runs by wall-clock.
#
#	analysis.sh [--runs N]
#
# Environment: POLC, BENCHGEN, MEASURE, POLC_TEMPLATES, POLC_INCLUDE; POLC_CORPUS (corpus sets are left out without it)
set -euo pipefail

runs=5
[ "${1:-}" != --runs ] || runs=$2
here=$(cd "$(dirname "$0")" && pwd)
polc=${POLC:-$here/../../polc}
benchgen=${BENCHGEN:-$here/benchgen}
measure=${MEASURE:-$here/measure}
corpus=${POLC_CORPUS:-$here/../../../shared/corpus}/classbench
dir=$(mktemp -d "${TMPDIR:-/tmp}/polc-analysis.XXXXXX")
trap 'rm -rf "$dir"' EXIT

# Seconds of a command, whose exit code may say no.
seconds() {
	local i
	for ((i = 0; i < runs; i++)); do
		"$measure" sh -c '"$@" >/dev/null 2>&1; [ $? -le 1 ]' sh "$@" 2>/dev/null | tail -n1 | cut -d' ' -f1
	done | sort -n | sed -n "$(((runs + 1) / 2))p"
}

# A rule set of addresses, ports and protocols as a policy: for each destination a subject.
from_classbench() { # FILE
	awk '
	BEGIN { print "default deny;"; print "pool 10.0.0.0/8;" }
	{
		sub(/^@/, ""); gsub(/ : /, "-")
		src = $1; ports = $4; split($5, proto, "/")
		split(ports, p, "-")
		on = proto[1] == "0x06" ? "tcp " : proto[1] == "0x11" ? "udp " : ""
		if (on != "") on = on (p[1] == 0 && p[2] == 65535 ? "" : p[1] == p[2] ? p[1] : p[1] "-" p[2])
		sub(/ $/, "", on)
		dst = $2; gsub(/[.\/]/, "-", dst)
		if (!(dst in seen)) { seen[dst] = 1; order[++n] = dst }
		rule[dst] = rule[dst] "\tallow from world" (src == "0.0.0.0/0" ? "" : " in " src) (on == "" ? "" : " on " on) ";\n"
	}
	END {
		for (i = 1; i <= n; i++)
			printf "policy \"to %s\" on [dst == \"%s\"] {\n%s}\n", order[i], order[i], rule[order[i]]
	}' "$1"
}

row() { # NAME POLICY
	local rules verify="does not compile"
	# The last allow of a port gets another one.
	tac "$2" | sed '0,/ on tcp [0-9][0-9]*;/s// on tcp 4242;/' | tac >"$dir/new.pol"
	rm -f "$dir/object"
	"$polc" "$2" -o "$dir/object" >/dev/null 2>&1 || true
	[ ! -e "$dir/object" ] || verify=$(seconds "$polc" verify --tables-only "$dir/object" "$2")
	rules=$(grep -cE '^[[:space:]]*(allow|deny|reject|skip) ' "$2")
	printf '| %s | %s | %s | %s | %s | %s |\n' "$1" "$rules" "$(seconds "$polc" lint "$2")" \
		"$(seconds "$polc" diff "$2" "$dir/new.pol")" \
		"$(seconds "$polc" explain "$2" from 192.0.2.1 to '[app=app-1]' on tcp 80)" \
		"$verify"
}

printf 'For scale, measured elsewhere and not run here: 13 s for the shade check of Aerleon on 2,000 terms.\n\n'
printf '| policy | rules | lint s | diff of one rule s | explain s | verify (tables) s |\n|---|---|---|---|---|---|\n'
for rules in 1000 10000 100000; do
	(cd "$dir" && "$benchgen" "$rules" 0 1 "$dir")
	row "generated" "$dir/bench.pol"
done
for set in "$corpus"/*_1k; do
	[ -e "$set" ] || continue
	from_classbench "$set" >"$dir/set.pol"
	row "classbench ${set##*/}" "$dir/set.pol"
done
