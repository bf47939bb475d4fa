#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck source-path=SCRIPTDIR
# What the questions cost (experiment `questions`): lint, diff of one changed rule, explain, verify of the tables, on
# generated policies and on the rule sets of the corpus written as policies. One thread, loading included; beside them
# fmt, which only reads and writes, and `loads`: what a diff spends before it compares, told by an explain of the old text and
# one of the new (97 % of the instructions of an explain of 100,000 rules are loading).
#
#	questions.sh
#
# Environment: BENCHGEN, MEASURE; POLC_CORPUS (corpus sets are left out without it); and as lib.sh says.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
benchgen=${BENCHGEN:-$e2e_build/tests/bench/benchgen}
measure=${MEASURE:-$e2e_build/tests/bench/measure}
corpus=${POLC_CORPUS:-$e2e_tree/../shared/corpus}/classbench
for program in "$benchgen" "$measure"; do
	[ -x "$program" ] || skip "$program is not built"
done
often=$(rounds 5 1)

ask() { # CASE PEER ROUND COMMAND...: whose exit code may say no
	# shellcheck disable=SC2016
	sample questions "$1" "$2" wall s "$3" "$("$measure" sh -c '"$@" >/dev/null 2>&1; [ $? -le 1 ]' sh "${@:4}" | tail -n 1 | cut -d' ' -f1)"
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

questions() { # NAME POLICY
	local case round
	case="policy=$1 rules=$(grep -cE '^[[:space:]]*(allow|deny|reject|skip) ' "$2")"
	# The last allow of a port gets another one.
	tac "$2" | sed '0,/ on tcp [0-9][0-9]*;/s// on tcp 4242;/' | tac >new.pol
	rm -f object
	"$POLC" "$2" -o object >/dev/null 2>errors || cannot questions "$case" verify "does not compile: $(head -n 1 errors)"
	for ((round = 1; round <= often; round++)); do
		ask "$case" fmt "$round" "$POLC" fmt "$2"
		ask "$case" lint "$round" "$POLC" lint "$2"
		ask "$case" diff "$round" "$POLC" diff "$2" new.pol
		ask "$case" explain "$round" "$POLC" explain "$2" from 192.0.2.1 to '[app=app-1]' on tcp 80
		# shellcheck disable=SC2016
		ask "$case" loads "$round" sh -ec 'for text; do "$POLC" explain "$text" from 192.0.2.1 to "[app=app-1]" on tcp 80 || [ $? -eq 1 ]; done' sh "$2" new.pol
		[ ! -e object ] || ask "$case" verify "$round" "$POLC" verify --tables-only object "$2"
	done
}

for rules in $(quick "1000 10000 100000" "1000"); do
	"$benchgen" "$rules" 0 1 .
	questions generated bench.pol
done
for set in "$corpus"/*_1k; do
	[ -e "$set" ] || continue
	from_classbench "$set" >set.pol
	questions "${set##*/}" set.pol
done
bench_done
