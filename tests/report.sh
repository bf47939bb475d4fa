#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The report of `make bench` from samples that are made up: medians and quartiles, what is taken within a round, pictures,
# aims met and missed, sections that are missing; and that the report's own template and aims are well-formed.
set -u
top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
tool=$top/tests/bench/report/report.sh
dir=$(mktemp -d "${TMPDIR:-/tmp}/polc-report.XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99
tests=0
failed=0

has() { # WHAT FILE LINE: the file has the line
	tests=$((tests + 1))
	if grep -qxF -- "$3" "$2"; then
		echo "ok $tests - $1"
	else
		echo "not ok $tests - $1"
		printf '# no line: %s\n' "$3"
		sed 's/^/# /' "$2"
		failed=1
	fi
}

# A machine that is twice as slow in the second round: medians over rounds would give other differences.
cat >wire.csv <<'END'
experiment,case,peer,metric,unit,round,value
wire,rules=10 family=v4,none,first,ns,1,1000
wire,rules=10 family=v4,polc,first,ns,1,1100
wire,rules=10 family=v4,linear,first,ns,1,2000
wire,rules=10 family=v4,none,first,ns,2,2000
wire,rules=10 family=v4,polc,first,ns,2,2200
wire,rules=10 family=v4,linear,first,ns,2,4000
wire,rules=10 family=v4,none,first,ns,3,1000
wire,rules=10 family=v4,polc,first,ns,3,1100
wire,rules=10 family=v4,linear,first,ns,3,2000
wire,rules=1000 family=v4,none,first,ns,1,1000
wire,rules=1000 family=v4,polc,first,ns,1,1150
wire,rules=1000 family=v4,linear,first,ns,1,10000
wire,rules=1000 family=v4,folded,cannot,,,not within two minutes
END
cat >status.csv <<'END'
wire,0,12,2026-01-02 03:04
proxy,77,0,2026-01-02 03:05
edge,124,600,2026-01-02 03:06
END
cat >aims <<'END'
# a comment
3	ten times	wire first rules=10 | (linear - none) / (polc - none)	>= 10	`make bench`
3	too much	wire first rules=10 | polc / none	< 1.05	`make bench`
3	grows	wire first rules=10 | polc{rules=1000} / polc	< 1.5	`make bench`
3	hidden	wire first rules=10 | polc	> 1200	`make bench`
4	elsewhere	-		`make check`
5	absent	edge frame lines=10 | polc	< 80	`make bench`
END
cat >template <<'END'
Over none {{wire first rules=10 | polc - none}} ns, absent {{edge frame lines=10 | polc}}.
@section wire
@section proxy
@section edge
@section pigeons
@table wire first
column none : no policy
ours polc - none : polc
peer linear - none : linear
peer folded : folded
@end
@table wire first
ours linear - none : linear
peer polc - none : better
@end
@ahead
@lines first.svg wire first
title First & last
x rules : rules
y ns
line polc : polc
dashed none : no policy where family=v4
@end
@bars bars.svg wire first
title Bars
where family=v4
bar polc : polc
@end
@lines none.svg edge frame
title None
x lines : lines
line polc : polc
@end
@aims
@sections
END
"$tool" . template aims || failed=1

has "a median of differences within rounds" report.md "Over none 100 ns, absent (not measured)."
has "what was left out" report.md "*This section (proxy) is not whole: left out: its tools are missing; proxy.log says more.*"
has "what took too long" report.md "*This section (edge) is not whole: stopped: it took too long; edge.log says more.*"
has "what was not run" report.md "*This section (pigeons) was not run.*"
has "a table's head" report.md "| rules | family | no policy | polc | linear | folded |"
has "quartiles and quotients" report.md "| 10 | v4 | 1,000 [1,000, 1,500] | 100 [100, 150] | 1,000 [1,000, 1,500], 10.0x |  |"
has "what cannot be had says why" report.md "| 1,000 | v4 | 1,000 | 150 | 9,000, 60.0x | not within two minutes |"
has "where a peer is ahead" report.md "| better | wire first | rules 10, family v4 | 0.100x |"
has "a picture" report.md "![First & last](first.svg)"
has "nothing to draw" report.md "*(nothing to draw: edge was not measured in this run)*"
has "an aim that is met" report.md "| 3 | ten times | 10.0 [10.0, 10.0] | met | \`make bench\` |"
has "an aim that is missed" report.md "| 3 | too much | 1.10 [1.10, 1.10] | **missed** | \`make bench\` |"
has "a quotient of two cases" report.md "| 3 | grows | 1.05 | met | \`make bench\` |"
has "an aim that the noise hides" report.md "| 3 | hidden | 1,100 [1,100, 1,650] | within the noise | \`make bench\` |"
has "an aim of another command" report.md "| 4 | elsewhere |  |  | \`make check\` |"
has "an aim without a figure" report.md "| 5 | absent | (not measured) | not in this run | \`make bench\` |"
has "how many" report.md "Of the aims that this run measures 2 are met, 1 missed, 1 within the noise."
has "the title of a picture" first.svg "<title>First &amp; last</title>"
has "a line through both cases" first.svg \
	'<path d="M52.0 215.1 L540.0 209.6" fill="none" stroke="#2f81f7" stroke-width="2.5"/>'
has "a bar" bars.svg '<rect x="200" y="56.0" width="220.0" height="14" fill="#2f81f7"/>'

# Two machines beside each other; one aim is of today's and not yet measured on the second.
for machine in fast slow; do
	mkdir -p both/$machine
	{
		printf '## The machine, and how noisy it was\n\n- polc 1, %s\n- two CPUs\n\n|  | empty program, ns |\n|---|---|\n| - | 10.0 [8.00, 11.0] |\n\n## Aims\n\n' $machine
		grep -E '^\| [0-9] \| |^Of the aims' report.md
	} >both/$machine/report.md
done
sed -i 's/| 10.0 \[10.0, 10.0\] | met |/| 9.00 | **missed** |/; /^| 3 | grows/d; s/are 2 met, 1/are 0 met, 2/' both/slow/report.md
"$tool" beside both || failed=1
has "two machines: what they are" both/README.md "| machine | polc 1, fast<br>two CPUs | polc 1, slow<br>two CPUs |"
has "what a program costs there" both/README.md "| a program that does nothing, ns | 10.0 [8.00, 11.0] | 10.0 [8.00, 11.0] |"
has "what each reached" both/README.md "| 3 | ten times | 10.0 [10.0, 10.0] | met | 9.00 | **missed** | \`make bench\` |"
has "and one did not measure" both/README.md "| 3 | grows | 1.05 | met |  | not in it | \`make bench\` |"
has "an aim of another command on both" both/README.md "| 4 | elsewhere |  |  |  |  | \`make check\` |"
has "their reports" both/README.md "| issue | aim | [fast](fast/report.md) | | [slow](slow/report.md) | | shown by |"

# Nothing measured: every line of the report's own template and aims is understood all the same.
tests=$((tests + 1))
rm -f ./*.csv
if "$tool" . >out 2>&1 && [ ! -s out ]; then
	echo "ok $tests - the report's own template and aims"
else
	echo "not ok $tests - the report's own template and aims"
	sed 's/^/# /' out
	failed=1
fi

echo "1..$tests"
exit $failed
