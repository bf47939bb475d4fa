# SPDX-License-Identifier: GPL-2.0-only
#
# Pictures.  draw_lines() and draw_bars() write one SVG file from what a template's block says (report.awk)
# and the samples (stats.awk).  No background is drawn and text takes the colour that the reader's scheme asks for, or
# one between where nobody says, so that a picture stands on a light page and on a dark one.

function colour(i,    c, n) {
	n = split("#2f81f7 #d1453b #d98b0b #2da44e #8957e5 #7d8590 #bf3989 #1b9aaa", c, " ")
	return c[(i - 1) % n + 1]
}

function escaped(s) {
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	return s
}

# 1500 as 1.5k
function short_number(v) {
	if (v >= 1000000)
		return sprintf("%.3gM", v / 1000000)
	if (v >= 1000)
		return sprintf("%.3gk", v / 1000)
	return sprintf("%.3g", v)
}

function log10(v) {
	return log(v) / log(10)
}

function svg_begin(file, width, height, title) {
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n",
		width, height, width, height >file
	print "<style>text { fill: #6e7781 } .grid { stroke: #7d8590; stroke-opacity: 0.25 } .axis { stroke: #7d8590 }" >file
	print "@media (prefers-color-scheme: light) { text { fill: #24292f } }" >file
	print "@media (prefers-color-scheme: dark) { text { fill: #d0d7de } }</style>" >file
	printf "<title>%s</title>\n", escaped(title) >file
	svg_text(file, 12, 20, "start", title, "font-size=\"15\" font-weight=\"bold\"")
}

function svg_text(file, x, y, anchor, text, more) {
	printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>%s</text>\n", x, y, anchor, more, escaped(text) >file
}

function svg_line(file, x1, y1, x2, y2, more) {
	printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, more >file
}

# ---- lines --------------------------------------------------------------------------

# Points of all lines: px, py, plow, phigh [line, i], pn[line]; lines without a point are left out.
function collect(e, m, where, xkey,    l, i, c, n, x, y) {
	xmin = ymin = 1e300
	xmax = ymax = 0
	for (l = 1; l <= nterms; l++) {
		pn[l] = 0
		for (i = 1; i <= ncases[e]; i++) {
			c = cases[e, i]
			x = case_value(c, xkey) + 0
			if (!case_has(c, term_where[l] != "" ? term_where[l] : where) || !(n = terms_of(e, m, c, term[l])))
				continue
			y = quantile(n, 0.5)
			if (x <= 0 || y <= 0)
				continue
			px[l, ++pn[l]] = x
			py[l, pn[l]] = y
			plow[l, pn[l]] = quantile(n, 0.25)
			phigh[l, pn[l]] = quantile(n, 0.75)
			xmin = x < xmin ? x : xmin
			xmax = x > xmax ? x : xmax
			y = plow[l, pn[l]] > 0 ? plow[l, pn[l]] : y
			ymin = y < ymin ? y : ymin
			ymax = phigh[l, pn[l]] > ymax ? phigh[l, pn[l]] : ymax
		}
		sort_points(l)
	}
	return xmax > 0
}

function sort_points(l,    i, j) {
	for (i = 2; i <= pn[l]; i++)
		for (j = i; j > 1 && px[l, j] < px[l, j - 1]; j--)
			swap_points(l, j, j - 1)
}

function swap_points(l, i, j,    t) {
	t = px[l, i]; px[l, i] = px[l, j]; px[l, j] = t
	t = py[l, i]; py[l, i] = py[l, j]; py[l, j] = t
	t = plow[l, i]; plow[l, i] = plow[l, j]; plow[l, j] = t
	t = phigh[l, i]; phigh[l, i] = phigh[l, j]; phigh[l, j] = t
}

# Where a value is on the page; both axes are logarithmic, the lower one unless `flat` says otherwise.
function at_x(x) {
	return left + (right - left) * (log10(x) - x0) / (x1 - x0)
}

function at_y(y) {
	y = flat_y ? y / y1 : (log10(y > 0 ? y : 1e-9) - y0) / (y1 - y0)
	return bottom - (bottom - top) * (y < 0 ? 0 : y)
}

function axes(file, xname, yname,    d, i, v, step) {
	for (d = int(x0 - 1); d <= x1 + 0.001; d++)
		for (i = 1; i <= 5; i += i == 1 ? 1 : 3) {
			v = i * 10 ^ d
			if (log10(v) < x0 - 0.001 || log10(v) > x1 + 0.001 || (i > 1 && x1 - x0 > 2.2))
				continue
			svg_line(file, at_x(v), top, at_x(v), bottom, "class=\"grid\"")
			svg_text(file, at_x(v), bottom + 16, "middle", short_number(v), "")
		}
	if (flat_y)
		for (v = 0; v <= y1 * 1.001; v += step_y)
			y_tick(file, v)
	else
		for (d = int(y0) - 1; d <= y1 + 0.001; d++)
			for (i = 1; i <= 5; i += i == 1 ? 1 : 3) {
				v = i * 10 ^ d
				if (log10(v) >= y0 - 0.001 && log10(v) <= y1 + 0.001 && (i == 1 || y1 - y0 <= 2.2))
					y_tick(file, v)
			}
	svg_line(file, left, bottom, right, bottom, "class=\"axis\"")
	svg_text(file, (left + right) / 2, bottom + 36, "middle", xname, "")
	svg_text(file, 12, 38, "start", yname, "font-size=\"11\"")
}

function y_tick(file, v) {
	svg_line(file, left, at_y(v), right, at_y(v), "class=\"grid\"")
	svg_text(file, left - 6, at_y(v) + 4, "end", short_number(v), "")
}

# A round step with which an axis from 0 has four to ten marks.
function step_for(max,    s) {
	s = 10 ^ int(log10(max) - (max < 1 ? 1 : 0))
	return max / s > 5 ? s : max / s > 2.5 ? s / 2 : s / 5
}

# Whether another line has a point between two neighbours of this one: a size that this one could not do.
function gap_before(l, i,    k, j) {
	for (k = 1; k <= nterms; k++)
		for (j = 1; j <= pn[k]; j++)
			if (px[k, j] > px[l, i - 1] * 1.001 && px[k, j] < px[l, i] * 0.999)
				return 1
	return 0
}

function one_line(file, l,    i, path, last) {
	last = pn[l]
	for (i = 1; i <= last; i++) {
		path = path (i == 1 ? "M" : gap_before(l, i) ? " M" : " L") sprintf("%.1f %.1f", at_x(px[l, i]), at_y(py[l, i]))
		svg_line(file, at_x(px[l, i]), at_y(plow[l, i]), at_x(px[l, i]), at_y(phigh[l, i]),
			"stroke=\"" colour(l) "\" stroke-width=\"5\" stroke-opacity=\"0.3\"")
		printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", at_x(px[l, i]), at_y(py[l, i]), colour(l) >file
	}
	printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\"%s/>\n", path, colour(l), l == 1 ? "2.5" : "1.5",
		term_dashed[l] ? " stroke-dasharray=\"5 4\"" : "" >file
}

# Each line's name at its end, moved apart where two would touch.
function names(file,    l, i, n, order, y, t) {
	for (l = 1; l <= nterms; l++)
		if (pn[l]) {
			order[++n] = l
			y[l] = at_y(py[l, pn[l]])
		}
	for (i = 2; i <= n; i++)
		for (l = i; l > 1 && y[order[l]] < y[order[l - 1]]; l--) {
			t = order[l]; order[l] = order[l - 1]; order[l - 1] = t
		}
	for (i = 2; i <= n; i++)
		if (y[order[i]] < y[order[i - 1]] + 14)
			y[order[i]] = y[order[i - 1]] + 14
	for (i = n; i >= 1; i--) {
		l = order[i]
		t = i == n ? bottom + 4 : y[order[i + 1]] - 14
		y[l] = y[l] > t ? t : y[l]
		printf "<text x=\"%.1f\" y=\"%.1f\" style=\"fill: %s\">%s</text>\n", at_x(px[l, pn[l]]) + 8, y[l] + 4, colour(l), escaped(term_name[l]) >file
	}
}

# True if there was something to draw.
function draw_lines(file, e, m, where, xkey, xname, yname, title,    l) {
	if (!collect(e, m, where, xkey))
		return 0
	left = 52; right = 540; top = 52; bottom = 340
	x0 = log10(xmin); x1 = log10(xmax > xmin ? xmax : xmin * 10)
	if (flat_y) {
		step_y = step_for(ymax)
		y0 = 0
		for (y1 = step_y; y1 < ymax; )
			y1 += step_y
	} else {
		y0 = log10(ymin) - 0.05; y1 = log10(ymax) + 0.05
		if (y1 - y0 < 0.7) { # flat lines shall look flat
			y0 -= 0.35
			y1 += 0.35
		}
	}
	svg_begin(file, 740, 390, title)
	axes(file, xname, yname)
	for (l = nterms; l >= 1; l--)
		if (pn[l])
			one_line(file, l)
	names(file)
	print "</svg>" >file
	close(file)
	return 1
}

# ---- bars -----------------------------------------------------------------------------

# A group for each case, a bar for each term; the name of a group is what the case has beyond `where`.
function draw_bars(file, e, m, where, yname, title,    i, l, n, y, max, rows, groups, last, w, c) {
	for (i = 1; i <= ncases[e]; i++)
		for (l = 1; l <= nterms; l++)
			if (case_has(cases[e, i], where) && (n = terms_of(e, m, cases[e, i], term[l]))) {
				rows++
				groups += last != i
				last = i
				max = quantile(n, 0.75) > max ? quantile(n, 0.75) : max
			}
	if (!rows || max <= 0)
		return 0
	svg_begin(file, 740, 60 + rows * 18 + groups * 10, title)
	svg_text(file, 12, 38, "start", yname, "font-size=\"11\"")
	y = 56
	for (i = 1; i <= ncases[e]; i++) {
		c = cases[e, i]
		rows = 0
		for (l = 1; l <= nterms; l++) {
			if (!case_has(c, where) || !(n = terms_of(e, m, c, term[l])))
				continue
			w = 330 * quantile(n, 0.5) / max
			w = w > 1 ? w : 1
			svg_text(file, 190, y + 11, "end", rows++ ? "" : case_beyond(c, where), "")
			printf "<rect x=\"200\" y=\"%.1f\" width=\"%.1f\" height=\"14\" fill=\"%s\"/>\n", y, w, colour(l) >file
			svg_line(file, 200 + 330 * quantile(n, 0.25) / max, y + 7, 200 + 330 * quantile(n, 0.75) / max, y + 7, "class=\"axis\" stroke-width=\"2\"")
			svg_text(file, 206 + (330 * quantile(n, 0.75) / max > w ? 330 * quantile(n, 0.75) / max : w), y + 11, "start",
				term_name[l] " " number(quantile(n, 0.5)), "")
			y += 18
		}
		y += rows ? 10 : 0
	}
	print "</svg>" >file
	close(file)
	return 1
}

function case_beyond(c, where,    w, n, i, out) {
	n = split(c, w, " ")
	for (i = 1; i <= n; i++)
		if (index("," where ",", "," w[i] ",") == 0) {
			sub(/=/, " ", w[i])
			out = out (out != "" ? ", " : "") w[i]
		}
	return out
}
