# SPDX-License-Identifier: GPL-2.0-only
#
# Fills in a template.  Input, in this order, each behind an assignment of `kind`: samples (CSV), status
# (section,exit code,seconds,date), aims, template.  Written are the Markdown (standard output) and the
# pictures (into the folder `out`).  Lines of a template are copied but for
#
#	@table EXPERIMENT METRIC ... @end	a row a case
#	@lines FILE EXPERIMENT METRIC ... @end	a picture: a value along a key of the case
#	@bars FILE EXPERIMENT METRIC ... @end	a picture: a bar each
#	@section NAME				says so if that section's measurements are missing
#	@sections				how each section ended
#	@aims					the table of aims
#	@ahead					where a peer in a table above is ahead of ours
#	@include FILE				of the folder `out`
#	{{EXPERIMENT METRIC KEY=VALUE,... | TERM}}	the median of a term (stats.awk), "-": of all cases
#
# Between @table and @end, where TERM is stats.awk's and HEADING what a person reads:
#
#	where KEY=VALUE,...	only these cases
#	column TERM : HEADING
#	ours TERM : HEADING	a column, and what follows is compared with it
#	peer TERM : HEADING	a column, and how many times ours that is
#	times TERM : HEADING	a column of a quotient
#
# Between @lines or @bars and @end: title, where, x KEY : NAME, y NAME, flat (an axis from 0), line TERM : NAME,
# dashed TERM : NAME, bar TERM : NAME; a line may end in " where KEY=VALUE,...", for that line alone.

kind == "samples" { add_sample(); next }
kind == "status" { add_status(); next }
kind == "aims" { add_aim(); next }
kind == "summary" { next }

/^@end/ { end_block(); next }
/^@(table|lines|bars) / { begin_block(); next }
block != "" { block_line(); next }
/^@section / { tell_section($2); next }
/^@sections/ { all_sections(); next }
/^@aims/ { all_aims(); next }
/^@ahead/ { all_ahead(); next }
/^@include / { include(out "/" $2); next }
kind == "template" { print filled($0) }

END {
	if (kind == "summary")
		summary()
}

# ---- blocks ----------------------------------------------------------------------------

function begin_block() {
	block = $1
	file = block == "@table" ? "" : $2
	experiment = block == "@table" ? $2 : $3
	metric = block == "@table" ? $3 : $4
	where = title = xkey = xname = yname = ""
	flat_y = nterms = 0
}

function add_term(how, text,    at) {
	term_how[++nterms] = how
	term_where[nterms] = ""
	term_dashed[nterms] = how == "dashed"
	if (at = index(text, " where ")) {
		term_where[nterms] = substr(text, at + 7)
		text = substr(text, 1, at - 1)
	}
	at = index(text, " : ")
	term[nterms] = at ? substr(text, 1, at - 1) : text
	term_name[nterms] = at ? substr(text, at + 3) : text
	if (how == "ours")
		ours = term[nterms]
}

function block_line(    word, rest, at) {
	word = $1
	rest = $0
	sub(/^[ \t]*[a-z]+[ \t]*/, "", rest)
	if (word == "where")
		where = rest
	else if (word == "title")
		title = rest
	else if (word == "flat")
		flat_y = 1
	else if (word == "y")
		yname = rest
	else if (word == "x") {
		at = index(rest, " : ")
		xkey = substr(rest, 1, at - 1)
		xname = substr(rest, at + 3)
	} else if (word ~ /^(column|ours|peer|times|line|dashed|bar)$/)
		add_term(word, rest)
	else if (word != "") {
		print "report: what is '" $0 "'?" >"/dev/stderr"
		failed = 1
	}
}

function end_block(    drawn) {
	if (block == "@table")
		table()
	else {
		if (block == "@lines")
			drawn = draw_lines(out "/" file, experiment, metric, where, xkey, xname, yname, title)
		else
			drawn = draw_bars(out "/" file, experiment, metric, where, yname, title)
		if (drawn)
			printf "![%s](%s)\n", title, file
		else
			printf "*(nothing to draw: %s was not measured in this run)*\n", experiment
	}
	block = ""
}

# ---- tables -------------------------------------------------------------------------------

# A peer's quotient to ours; "" where it cannot be said. Where the peer is ahead, by more than the quartiles, is kept for @ahead.
function to_ours(c, i,    n, t, more) {
	t = term[i]
	n = terms_of(experiment, metric, c, (t ~ / - / ? "(" t ")" : t) " / " (ours ~ / - / ? "(" ours ")" : ours))
	if (!n)
		return ""
	more = unit_of[experiment, metric] ~ /\/s$/ # such as requests: more is better
	if (more ? quantile(n, 0.25) > 1 : quantile(n, 0.75) < 1)
		ahead[++nahead] = sprintf("| %s | %s %s | %s | %sx |", term_name[i], experiment, metric, case_beyond(c, ""),
			number(quantile(n, 0.5)))
	return sprintf(", %sx", number(quantile(n, 0.5)))
}

function all_ahead(    i) {
	if (!nahead) {
		print "Nowhere in this run."
		return
	}
	print "| peer | measured | where | so many times ours |"
	print "|---|---|---|---|"
	for (i = 1; i <= nahead; i++)
		print ahead[i]
}

function cell(c, i,    n, peer) {
	n = terms_of(experiment, metric, c, term[i])
	if (n)
		return spread(n) (term_how[i] == "times" ? "x" : term_how[i] == "peer" ? to_ours(c, i) : "")
	peer = term[i]
	sub(/ .*/, "", peer)
	gsub(/[()]/, "", peer)
	if ((experiment, c, peer) in cannot_why)
		return cannot_why[experiment, c, peer]
	return ((experiment, "-", peer) in cannot_why) ? cannot_why[experiment, "-", peer] : ""
}

function key_cells(c, headings,    w, n, i, row, at) {
	n = split(c, w, " ")
	for (i = 1; i <= n; i++) {
		at = index(w[i], "=")
		row = row " " (headings ? substr(w[i], 1, at - 1) : case_number(substr(w[i], at + 1))) " |"
	}
	return row
}

function case_number(v) {
	return v ~ /^[0-9]+$/ ? thousands(v + 0) : v
}

function table(    i, k, c, row, some, line, head) {
	for (i = 1; i <= ncases[experiment]; i++) {
		c = cases[experiment, i]
		if (!((experiment, metric, c) in last_round) || !case_has(c, where))
			continue
		row = ""
		some = 0
		for (k = 1; k <= nterms; k++) {
			line = cell(c, k)
			some = some || line != ""
			row = row " " line " |"
		}
		if (!some)
			continue
		if (!head) {
			head = 1
			table_head(c)
		}
		print "|" key_cells(c, 0) row
	}
	if (!head)
		printf "*(%s was not measured in this run)*\n", experiment
}

function table_head(c,    k, line) {
	line = "|" key_cells(c, 1)
	for (k = 1; k <= nterms; k++)
		line = line " " term_name[k] " |"
	print line
	gsub(/[^|]+/, "---", line)
	print line
}

# ---- figures in the text --------------------------------------------------------------------

# EXPERIMENT METRIC FILTER | TERM: the median, of each case that fits.
function figure(text,    w, at, t, i, n, c, all) {
	at = index(text, " | ")
	split(substr(text, 1, at - 1), w, " ")
	w[3] = w[3] == "-" ? "" : w[3]
	t = substr(text, at + 3)
	nfigures = 0
	with_spread = ""
	for (i = 1; i <= ncases[w[1]]; i++) {
		c = cases[w[1], i]
		if (!case_has(c, w[3]) || !(n = terms_of(w[1], w[2], c, t)))
			continue
		figures[++nfigures] = quantile(n, 0.5)
		figure_low[nfigures] = quantile(n, 0.25)
		figure_high[nfigures] = quantile(n, 0.75)
		with_spread = with_spread (with_spread != "" ? " and " : "") spread(n)
		all = all (all != "" ? " and " : "") number(figures[nfigures])
	}
	return all != "" ? all : "(not measured)"
}

function filled(line,    at, end) {
	while ((at = index(line, "{{")) && (end = index(line, "}}")) > at)
		line = substr(line, 1, at - 1) figure(substr(line, at + 2, end - at - 2)) substr(line, end + 2)
	return line
}

# ---- aims -------------------------------------------------------------------------------------

function add_aim(    f) {
	if ($0 ~ /^#/ || $0 ~ /^[ \t]*$/)
		return
	if (split($0, f, "\t") != 5) {
		print "report: an aim has five columns: " $0 >"/dev/stderr"
		failed = 1
		return
	}
	naims++
	aim_issue[naims] = f[1]
	aim_text[naims] = f[2]
	aim_figure[naims] = f[3]
	aim_bound[naims] = f[4]
	aim_shown[naims] = f[5]
}

function all_aims(    i, reached, verdict, count) {
	print "| issue | aim | reached | | shown by |"
	print "|---|---|---|---|---|"
	for (i = 1; i <= naims; i++) {
		reached = verdict = ""
		if (aim_figure[i] != "-") {
			reached = figure(aim_figure[i])
			reached = nfigures ? with_spread : reached
			verdict = judged(aim_bound[i])
			count[verdict]++
		}
		printf "| %s | %s | %s | %s | %s |\n", aim_issue[i], aim_text[i], reached, verdict, aim_shown[i]
	}
	printf "\nOf the aims that this run measures %d are met, %d missed, %d within the noise.\n",
		count["met"], count["**missed**"], count["within the noise"]
}

function within(v, how, bound) {
	return how == "<" ? v < bound : how == "<=" ? v <= bound : how == ">" ? v > bound : v >= bound
}

# Every one of the figures must be within the bound: "< 80", ">= 1.5"; "-": there is none. Within the noise: a median is not,
# but the quartile on its good side is.
function judged(bound,    w, i, verdict) {
	if (!nfigures)
		return "not in this run"
	if (split(bound, w, " ") != 2)
		return ""
	verdict = "met"
	for (i = 1; i <= nfigures; i++) {
		if (within(figures[i], w[1], w[2] + 0))
			continue
		if (!within(w[1] ~ /</ ? figure_low[i] : figure_high[i], w[1], w[2] + 0))
			return "**missed**"
		verdict = "within the noise"
	}
	return verdict
}

# ---- how it went --------------------------------------------------------------------------------

function add_status(    f) {
	split($0, f, ",")
	if (!(f[1] in status))
		sections[++nsections] = f[1]
	status[f[1]] = f[2]
	took[f[1]] = f[3]
	when[f[1]] = f[4]
}

function ended(s) {
	return status[s] == 0 ? "whole" : status[s] == 77 ? "left out: its tools are missing" : \
		status[s] == 124 ? "stopped: it took too long" : "failed, exit code " status[s]
}

function tell_section(s) {
	if (!(s in status))
		printf "*This section (%s) was not run.*\n\n", s
	else if (status[s] != 0)
		printf "*This section (%s) is not whole: %s; %s.log says more.*\n\n", s, ended(s), s
}

function all_sections(    i, s) {
	print "| section | begun | seconds | |"
	print "|---|---|---|---|"
	for (i = 1; i <= nsections; i++) {
		s = sections[i]
		printf "| %s | %s | %s | %s |\n", s, when[s], took[s], ended(s)
	}
}

function include(path,    line) {
	while ((getline line < path) > 0)
		print line
	close(path)
}

# All that the samples have, for a script that is run alone: a row a peer.
function summary(    e, i, m, k, p, n, x) {
	for (e = 1; e <= nexperiments; e++) {
		x = experiments[e]
		for (m = 1; m <= nmetrics[x]; m++) {
			metric = metrics[x, m]
			printf "%s %s%s\n", x, metric, unit_of[x, metric] != "" ? ", " unit_of[x, metric] : ""
			for (i = 1; i <= ncases[x]; i++)
				for (k = 1; k <= npeers[x, metric]; k++) {
					p = peers[x, metric, k]
					if (n = terms_of(x, metric, cases[x, i], p))
						printf "  %-44s %-12s %s\n", cases[x, i], p, spread(n)
				}
		}
		for (i = 1; i <= ncases[x]; i++)
			for (k in cannot_why)
				if (index(k, x SUBSEP cases[x, i] SUBSEP) == 1)
					printf "  %-44s %-12s cannot: %s\n", cases[x, i], substr(k, length(x SUBSEP cases[x, i] SUBSEP) + 1), cannot_why[k]
	}
}

END {
	exit failed
}
