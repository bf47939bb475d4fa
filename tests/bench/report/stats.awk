# SPDX-License-Identifier: GPL-2.0-only
#
# Samples, and what is made of them.  Reads lines of
#
#	experiment,case,peer,metric,unit,round,value
#
# (../lib.sh says what they are).  A *term* is what is asked of the rounds of one case:
#
#	A                  the peer A
#	A - F              over the floor F, in the same round
#	A / B, (A - F) / (B - G)
#	A{rules=10}        the peer A where rules is 10 and the rest of the case the same
#
# and terms_of() gives the value of a term in each round, sorted; median and quartiles are taken of these,
# never of what was made over several rounds before.

function add_sample(    key, f) {
	split($0, f, ",")
	if (f[1] == "experiment" || f[7] == "")
		return
	if (!((f[1], f[2]) in case_seen)) {
		case_seen[f[1], f[2]] = 1
		cases[f[1], ++ncases[f[1]]] = f[2]
	}
	if (!(f[1] in experiment_seen)) {
		experiment_seen[f[1]] = 1
		experiments[++nexperiments] = f[1]
	}
	if (f[4] == "cannot") {
		cannot_why[f[1], f[2], f[3]] = f[7]
		return
	}
	if (!((f[1], f[4]) in metric_seen)) {
		metric_seen[f[1], f[4]] = 1
		metrics[f[1], ++nmetrics[f[1]]] = f[4]
		unit_of[f[1], f[4]] = f[5]
	}
	if (!((f[1], f[4], f[3]) in peer_seen)) {
		peer_seen[f[1], f[4], f[3]] = 1
		peers[f[1], f[4], ++npeers[f[1], f[4]]] = f[3]
	}
	key = f[1] SUBSEP f[4] SUBSEP f[2]
	if (f[6] + 0 > last_round[key])
		last_round[key] = f[6] + 0
	value[key, f[3], f[6] + 0] = f[7] + 0
}

# The value of a key of a case; "" if it has none.
function case_value(c, key,    w, n, i) {
	n = split(c, w, " ")
	for (i = 1; i <= n; i++)
		if (index(w[i], key "=") == 1)
			return substr(w[i], length(key) + 2)
	return ""
}

# Does a case have all of "key=value,key=value"?
function case_has(c, all,    w, n, i) {
	n = split(all, w, ",")
	for (i = 1; i <= n; i++)
		if (index(" " c " ", " " w[i] " ") == 0)
			return 0
	return 1
}

# A case with some keys changed: "rules=10".
function case_with(c, change,    w, n, i, key, out) {
	key = substr(change, 1, index(change, "="))
	n = split(c, w, " ")
	for (i = 1; i <= n; i++)
		out = out (i > 1 ? " " : "") (index(w[i], key) == 1 ? change : w[i])
	return out
}

# One peer in one round; sets have.
function one_value(e, m, c, peer, round,    at) {
	at = index(peer, "{")
	if (at) {
		c = case_with(c, substr(peer, at + 1, length(peer) - at - 1))
		peer = substr(peer, 1, at - 1)
	}
	have = ((e, m, c, peer, round) in value)
	return have ? value[e, m, c, peer, round] : 0
}

function difference(e, m, c, text, round,    at, a, b, had) {
	gsub(/[()]/, "", text)
	at = index(text, " - ")
	if (!at)
		return one_value(e, m, c, text, round)
	a = one_value(e, m, c, substr(text, 1, at - 1), round)
	had = have
	b = one_value(e, m, c, substr(text, at + 3), round)
	have = have && had
	return a - b
}

# Fills sorted[1..] with the term's value in each round that has it; returns how many.
function terms_of(e, m, c, term,    at, n, round, a, b, had) {
	at = index(term, " / ")
	n = 0
	for (round = 1; round <= last_round[e, m, c]; round++) {
		a = difference(e, m, c, at ? substr(term, 1, at - 1) : term, round)
		if (at) {
			had = have
			b = difference(e, m, c, substr(term, at + 3), round)
			have = have && had && b > 0
			a = have ? a / b : 0
		}
		if (have)
			sorted[++n] = a
	}
	sort_n(n)
	return n
}

# Insertion: rounds are few.
function sort_n(n,    i, j, v) {
	for (i = 2; i <= n; i++) {
		v = sorted[i]
		for (j = i - 1; j >= 1 && sorted[j] > v; j--)
			sorted[j + 1] = sorted[j]
		sorted[j + 1] = v
	}
}

# Of sorted[1..n]: p from 0 to 1, between neighbours in proportion.
function quantile(n, p,    at, i) {
	at = 1 + (n - 1) * p
	i = int(at)
	return i >= n ? sorted[n] : sorted[i] + (at - i) * (sorted[i + 1] - sorted[i])
}

# 12345.6 as 12,346; 12.34 as 12.3; 0.1234 as 0.123
function number(v,    sign) {
	sign = v < 0 ? "-" : ""
	v = v < 0 ? -v : v
	if (v == 0)
		return "0"
	if (v < 1)
		return sign sprintf("%.3f", v)
	if (v < 10)
		return sign sprintf("%.2f", v)
	if (v < 100)
		return sign sprintf("%.1f", v)
	return sign thousands(v)
}

function thousands(v,    s, out) {
	s = sprintf("%.0f", v)
	while (length(s) > 3) {
		out = "," substr(s, length(s) - 2) out
		s = substr(s, 1, length(s) - 3)
	}
	return s out
}

function spread(n) {
	return n ? number(quantile(n, 0.5)) (n > 1 ? " [" number(quantile(n, 0.25)) ", " number(quantile(n, 0.75)) "]" : "") : ""
}
