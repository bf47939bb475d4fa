# SPDX-License-Identifier: GPL-2.0-only
# Reports of several machines (report.md each, one variable assignment name=FOLDER before each): their machines and their
# aims in two tables, a column a report.

FNR == 1 { # a report begins
	names[++n] = name
	part = ""
}
/^## / { part = $0 }
part ~ /^## The machine/ && /^- / {
	about[n] = about[n] (about[n] == "" ? "" : "<br>") substr($0, 3)
}
# What makes one faster than another
part ~ /^## The machine/ && /^\|  \| empty program/ { wants_empty = 1 }
wants_empty && /^\| - / { split($0, f, / *\| */); empty[n] = f[3]; wants_empty = 0 }
part ~ /^## The machine/ && /^\| 4,194,304 / { split($0, f, / *\| */); load[n] = f[3] }

part == "## Aims" && /^\| [0-9]/ {
	split(substr($0, 3, length($0) - 4), f, / \| /)
	key = f[1] " | " f[2]
	if (!(key in shown))
		keys[++nkeys] = key
	shown[key] = f[5]
	reached[n, key] = f[3] " | " f[4]
}
part == "## Aims" && /^Of the aims/ { sub(/^Of the aims that this run measures /, ""); sub(/\.$/, ""); sum[n] = $0 }

function row(first, of,    i, line) {
	line = "| " first
	for (i = 1; i <= n; i++)
		line = line " | " of[i]
	print line " |"
}

END {
	for (i = 1; i <= n; i++) {
		link[i] = "[" names[i] "](" names[i] "/report.md)"
		dashes[i] = "---"
		columns = columns " | " link[i] " |"
		lines = lines "---|---|"
	}
	print "# polc, measured on different machines\n"
	print "Each is a report of `make bench`, with its pictures and samples, put here by `make bench-keep MACHINE=NAME`. An aim is the same figure on"
	print "every machine, so a slower one misses more of them; what is compared with a peer was measured on the same machine in the same run.\n"
	row("", link)
	row("---", dashes)
	row("machine", about)
	row("a program that does nothing, ns", empty)
	row("a load from 4 MiB that waits for the one before, ns", load)
	row("aims", sum)
	print "\n## Aims\n"
	print "Each aim of issues 2 to 8 that is a number, with what each run reached: medians and, in brackets, quartiles; those that `make bench` does"
	print "not measure name the command that shows them.\n"
	print "| issue | aim" columns " | shown by |"
	print "|---|---|" lines "---|"
	for (k = 1; k <= nkeys; k++) {
		line = "| " keys[k]
		for (i = 1; i <= n; i++)
			line = line " | " ((i, keys[k]) in reached ? reached[i, keys[k]] : " | not in it")
		print line " | " shown[keys[k]] " |"
	}
}
