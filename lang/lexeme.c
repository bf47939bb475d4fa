/* SPDX-License-Identifier: GPL-2.0-only */
/* The values of tokens, and what is wrong with them. */
#include "lang/syntax.h"

#include <ctype.h>

#define VALUE_MAX 255 /* bytes of a name or a label value */

static const struct keyword {
	const char *text;
	int kind;
} keywords[] = {
	/* sorted */
	{ "admin", T_ADMIN },
	{ "allow", T_ALLOW },
	{ "and", T_AND },
	{ "any", T_ANY },
	{ "assert", T_ASSERT },
	{ "audit", T_AUDIT },
	{ "backend", T_BACKEND },
	{ "balance", T_BALANCE },
	{ "baseline", T_BASELINE },
	{ "burst", T_BURST },
	{ "check", T_CHECK },
	{ "cidr", T_CIDR },
	{ "default", T_DEFAULT },
	{ "deny", T_DENY },
	{ "drop", T_DROP },
	{ "dsr", T_DSR },
	{ "dynamic", T_DYNAMIC },
	{ "endpoint", T_ENDPOINT },
	{ "every", T_EVERY },
	{ "except", T_EXCEPT },
	{ "fall", T_FALL },
	{ "file", T_FILE },
	{ "filter", T_FILTER },
	{ "from", T_FROM },
	{ "has", T_HAS },
	{ "header", T_HEADER },
	{ "host", T_HOST },
	{ "http", T_HTTP },
	{ "icmp", T_ICMP },
	{ "icmp6", T_ICMP6 },
	{ "icmpv6", T_ICMP6 },
	{ "import", T_IMPORT },
	{ "in", T_IN },
	{ "limit", T_LIMIT },
	{ "log", T_LOG },
	{ "maglev", T_MAGLEV },
	{ "mode", T_MODE },
	{ "name", T_NAMED },
	{ "nat", T_NAT },
	{ "nodes", T_NODES },
	{ "none", T_NONE },
	{ "not", T_NOT },
	{ "on", T_ON },
	{ "open", T_OPEN },
	{ "option", T_OPTION },
	{ "or", T_OR },
	{ "pass", T_PASS },
	{ "per", T_PER },
	{ "policy", T_POLICY },
	{ "pool", T_POOL },
	{ "port", T_PORT },
	{ "proto", T_PROTO },
	{ "public", T_PUBLIC },
	{ "query", T_QUERY },
	{ "random", T_RANDOM },
	{ "reject", T_REJECT },
	{ "rise", T_RISE },
	{ "sctp", T_SCTP },
	{ "service", T_SERVICE },
	{ "skip", T_SKIP },
	{ "source", T_SOURCE },
	{ "sport", T_SPORT },
	{ "tcp", T_TCP },
	{ "tier", T_TIER },
	{ "timeout", T_TIMEOUT },
	{ "to", T_TO },
	{ "true", T_TRUE },
	{ "udp", T_UDP },
	{ "vip", T_VIP },
	{ "websocket", T_WEBSOCKET },
	{ "weight", T_WEIGHT },
	{ "where", T_WHERE },
	{ "world", T_WORLD },
};

bool pol_said(const struct pol_parse *ctx, struct pol_span at)
{
	return ctx->bad.end > ctx->bad.start && ctx->bad.start >= at.start &&
	       ctx->bad.end <= at.end;
}

static int keyword_cmp(const void *key, const void *at)
{
	return pol_str_cmp(*(const struct pol_str *)key,
			   pol_str(((const struct keyword *)at)->text));
}

int pol_lex_word(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at)
{
	const struct keyword *k =
		bsearch(&s, keywords, POL_ARRAY_LEN(keywords), sizeof(*k), keyword_cmp);

	v->string = (struct pol_string){ pol_intern(ctx->names, s), at };
	if (k)
		return k->kind;
	if (s.n > VALUE_MAX)
		pol_diag(ctx->diags, POL_P0109, at, "name longer than %d bytes", VALUE_MAX);
	for (size_t i = 0; i < s.n; i++)
		if (!isupper((unsigned char)s.p[i]) && s.p[i] != '-')
			return T_NAME;
	return T_METHOD;
}

/* ---- strings ------------------------------------------------------------------- */

static void bad_escape(struct pol_parse *ctx, char c, struct pol_span at, size_t offset)
{
	struct pol_span here = { at.file, at.start + (uint32_t)offset,
				 at.start + (uint32_t)offset + 2 };
	struct pol_diag *g =
		pol_diag(ctx->diags, POL_P0107, here, "unknown escape `\\%c` in a string", c);

	pol_diag_help(ctx->diags, g,
		      "only `\\\"` and `\\\\` are escapes; a backslash itself is written `\\\\`");
}

/* Between the quotes: `\"` and, in plain strings, `\\` are unescaped. */
static struct pol_str unescape(struct pol_parse *ctx, struct pol_str s, bool regex,
			       struct pol_span at, size_t skip)
{
	char *out = pol_arena_alloc(ctx->arena, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((unsigned char)c < 0x20 && c != '\t') {
			struct pol_span here = { at.file, at.start + (uint32_t)(skip + i),
						 at.start + (uint32_t)(skip + i) + 1 };

			pol_diag(ctx->diags, POL_P0104, here, "control character in a string");
		}
		if (c == '\\' && i + 1 < s.n) {
			char next = s.p[i + 1];

			if (next == '"' || (next == '\\' && !regex)) {
				out[n++] = next;
				i++;
				continue;
			}
			if (regex) { /* raw: the pair stays, so that `\\"` ends where it should */
				out[n++] = c;
				out[n++] = next;
				i++;
				continue;
			}
			bad_escape(ctx, next, at, skip + i);
		}
		out[n++] = c;
	}
	return (struct pol_str){ out, n };
}

void pol_lex_string(struct pol_parse *ctx, struct pol_str s, bool regex, POL_YYSTYPE *v,
		    struct pol_span at)
{
	size_t open = 0;
	bool closed;

	while (s.p[open] != '"' && s.p[open] != '\'')
		open++;
	closed = s.n > open + 1 && s.p[s.n - 1] == s.p[open];
	if (closed && s.p[s.n - 1] == '"') { /* the last quote may be an escaped one */
		size_t back = 0;

		while (back + open + 2 < s.n && s.p[s.n - 2 - back] == '\\')
			back++;
		closed = back % 2 == 0;
	}
	if (s.p[open] == '\'') {
		struct pol_diag *g =
			pol_diag(ctx->diags, POL_P0120, at, "strings stand in double quotes");

		pol_diag_help(ctx->diags, g, "write \"%.*s\"", (int)(s.n - open - 1 - closed),
			      s.p + open + 1);
	} else if (!closed) {
		pol_diag_label(ctx->diags,
			       pol_diag(ctx->diags, POL_P0106, at, "unterminated string"),
			       "no closing quote on this line");
		ctx->bad = at;
	}
	s = (struct pol_str){ s.p + open + 1, s.n - open - 1 - closed };
	v->string.text = pol_intern(ctx->names, unescape(ctx, s, regex, at, open + 1));
	v->string.span = at;
	if (v->string.text.n > (regex ? 4096 : VALUE_MAX))
		pol_diag(ctx->diags, POL_P0109, at, "string longer than %d bytes",
			 regex ? 4096 : VALUE_MAX);
}

/* ---- numbers --------------------------------------------------------------------- */

static uint32_t number(struct pol_parse *ctx, struct pol_str s, struct pol_span at)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		n = n * 10 + (uint64_t)(s.p[i] - '0');
		if (n > UINT32_MAX) {
			pol_diag(ctx->diags, POL_P0109, at, "number too large");
			ctx->bad = at;
			return UINT32_MAX;
		}
	}
	return (uint32_t)n;
}

static struct pol_str before(struct pol_str s, char c)
{
	return (struct pol_str){ s.p, (size_t)((char *)memchr(s.p, c, s.n) - s.p) };
}

static struct pol_str after(struct pol_str s, char c)
{
	size_t n = before(s, c).n + 1;

	return (struct pol_str){ s.p + n, s.n - n };
}

int pol_lex_number(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at)
{
	bool len = s.p[0] == '/';

	v->number.value = number(ctx, len ? after(s, '/') : s, at);
	v->number.span = at;
	return len ? T_LEN : T_NUMBER;
}

void pol_lex_range(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at)
{
	v->range.lo = number(ctx, before(s, '-'), at);
	v->range.hi = number(ctx, after(s, '-'), at);
}

void pol_lex_rate(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at)
{
	char unit = after(s, '/').p[0];

	v->rate.count = number(ctx, before(s, '/'), at);
	v->rate.seconds = unit == 's' ? 1 : unit == 'm' ? 60 : 3600;
	if (!v->rate.count) {
		struct pol_diag *g =
			pol_diag(ctx->diags, POL_P0124, at, "a rate of 0 lets nothing through");

		pol_diag_help(ctx->diags, g, "to let nothing through write `deny`");
	}
}

/* ---- addresses ---------------------------------------------------------------------- */

struct pol_prefix pol_prefix_masked(struct pol_prefix p)
{
	unsigned width = p.addr.family == 4 ? 32 : 128;
	unsigned zero = width - p.len; /* low bits to clear */

	if (zero >= 64) {
		p.addr.lo = 0;
		if (zero > 64)
			p.addr.hi = zero >= 128 ? 0 : p.addr.hi & (~(uint64_t)0 << (zero - 64));
	} else if (zero) {
		p.addr.lo &= ~(uint64_t)0 << zero;
	}
	return p;
}

/* `10.01.0.0` without its leading zeros, for the help line. */
static void without_zeros(struct pol_buf *b, struct pol_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool first = i == 0 || !isdigit((unsigned char)s.p[i - 1]);

		while (first && s.p[i] == '0' && i + 1 < s.n && isdigit((unsigned char)s.p[i + 1]))
			i++;
		pol_buf_addc(b, s.p[i]);
	}
}

static void mapped_help(struct pol_diags *d, struct pol_diag *g, struct pol_prefix p)
{
	struct pol_prefix four = { { 0, p.addr.lo & UINT32_MAX, 4 }, 0 };
	char text[POL_IP_TEXT];

	if (p.len < 96)
		return;
	four.len = (uint8_t)(p.len - 96);
	pol_diag_help(d, g, "write the IPv4 form: `%s`",
		      pol_prefix_format(pol_prefix_masked(four), text));
}

static void syntax_help(struct pol_diags *d, struct pol_diag *g, struct pol_str s)
{
	size_t colons = 0, digits = 0, dots = 0;

	for (size_t i = 0; i < s.n; i++) {
		colons += s.p[i] == ':';
		dots += s.p[i] == '.';
		digits += isdigit((unsigned char)s.p[i]) != 0;
	}
	if (memmem(s.p, s.n, ":::", 3))
		pol_diag_help(d, g, "`::` stands once, for as many zeros as are missing");
	else if (colons == 1 && digits && digits == s.n - 1)
		pol_diag_help(d, g, "a range of ports is written `8000-8100`");
	else if (!colons && dots != 3 && isdigit((unsigned char)s.p[0]))
		pol_diag_help(d, g, "an IPv4 address has four numbers: `10.0.0.0/8`");
}

void pol_prefix_diag(struct pol_diags *d, enum pol_ip_error e, struct pol_str s, struct pol_span at)
{
	static const enum pol_code code[] = {
		[POL_IP_OK] = POL_P0114,           [POL_IP_SYNTAX] = POL_P0114,
		[POL_IP_LEADING_ZERO] = POL_P0115, [POL_IP_RANGE] = POL_P0114,
		[POL_IP_LENGTH] = POL_P0114,       [POL_IP_HOST_BITS] = POL_P0117,
		[POL_IP_MAPPED] = POL_P0116,
	};
	struct pol_buf clean = { 0 };
	struct pol_prefix p;
	struct pol_diag *g;
	char text[POL_IP_TEXT];

	pol_buf_clean(&clean, s.n > 80 ? (struct pol_str){ s.p, 80 } : s);
	g = pol_diag(d, code[e], at, "%s: `%s`", pol_ip_error_text(e), clean.p ? clean.p : "");
	pol_buf_free(&clean);
	pol_prefix_parse(s, &p); /* fills what it could read */
	if (e == POL_IP_HOST_BITS) {
		pol_diag_help(d, g, "the network is `%s`",
			      pol_prefix_format(pol_prefix_masked(p), text));
	} else if (e == POL_IP_LEADING_ZERO) {
		without_zeros(&clean, s);
		pol_diag_help(d, g, "write `%.*s`, or is it octal?", POL_STR_ARG(clean));
		pol_buf_free(&clean);
	} else if (e == POL_IP_MAPPED) {
		mapped_help(d, g, p);
	} else if (e == POL_IP_SYNTAX) {
		syntax_help(d, g, s);
	} else if (e == POL_IP_RANGE) {
		pol_diag_help(d, g, "each of the four numbers is 0 to 255");
	} else if (e == POL_IP_LENGTH) {
		pol_diag_help(d, g, "a length is 0 to 32 in IPv4, 0 to 128 in IPv6");
	}
}

void pol_lex_prefix(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at)
{
	enum pol_ip_error e = pol_prefix_parse(s, &v->prefix);

	if (e == POL_IP_OK)
		return;
	pol_prefix_diag(ctx->diags, e, s, at);
	ctx->bad = at;
	if (e == POL_IP_HOST_BITS)
		v->prefix = pol_prefix_masked(v->prefix);
	else /* goes on as something harmless: 192.0.2.0 */
		v->prefix = (struct pol_prefix){ { 0, 0xc0000200, 4 }, 32 };
}

/* ---- what is no token ------------------------------------------------------------------ */

static bool looks_like_date(struct pol_str s)
{
	static const char shape[] = "dddd-dd-dd";

	if (s.n < sizeof(shape) - 1)
		return false;
	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)s.p[i]) : s.p[i] != '-')
			return false;
	return true;
}

static void junk_help(struct pol_diags *d, struct pol_diag *g, struct pol_str s, size_t digits)
{
	const char *colon = memchr(s.p, ':', s.n);
	size_t address = colon ? (size_t)(colon - s.p) : 0;

	if (looks_like_date(s))
		pol_diag_help(d, g, "a label value is a string: \"%.*s\"", POL_STR_ARG(s));
	else if (s.n == digits + 4 && s.p[digits] == '/' && (s.p[s.n - 1] == 'p'))
		pol_diag_help(d, g, "the protocol stands first: `%.*s %.*s`", 3, s.p + digits + 1,
			      (int)digits, s.p);
	else if (address && memchr(s.p, '.', address) && address + 1 < s.n)
		pol_diag_help(d, g, "a port stands behind the peer: `%.*s on tcp %.*s`",
			      (int)address, s.p, (int)(s.n - address - 1), colon + 1);
	else if (digits < s.n && s.p[digits] == '/')
		pol_diag_help(d, g, "a rate is written `%.*s/s`, `/min` or `/h`", (int)digits, s.p);
	else if (!colon && digits < s.n && isalpha((unsigned char)s.p[digits]))
		pol_diag_help(d, g,
			      "put a space after the number, or quote it if it is a label value");
}

/* A word that begins like a number or an address and goes on as something else. */
int pol_lex_junk(struct pol_parse *ctx, struct pol_str s, POL_YYSTYPE *v, struct pol_span at)
{
	size_t digits = 0;
	struct pol_diag *g;

	while (digits < s.n && isdigit((unsigned char)s.p[digits]))
		digits++;
	ctx->bad = at;
	g = pol_diag(ctx->diags, POL_P0108, at, "`%.*s` is neither a number nor an address",
		     (int)(s.n > 80 ? 80 : s.n), s.p);
	junk_help(ctx->diags, g, s, digits);
	v->number = (struct pol_number){ 1, at };
	return T_NUMBER;
}

void pol_lex_unexpected(struct pol_parse *ctx, struct pol_str s, struct pol_span at)
{
	struct pol_buf clean = { 0 };
	struct pol_diag *g;

	ctx->bad = at;
	if (s.p[0] == '/' && s.n > 1) {
		at.end = at.start + 2;
		g = pol_diag(ctx->diags, POL_P0118, at, "comments start with `#`");
		pol_diag_help(ctx->diags, g, "and go on to the end of the line");
		return;
	}
	if (s.p[0] == '&' || s.p[0] == '|' || s.p[0] == '!') {
		const char *word = s.p[0] == '&' && s.n == 2   ? "and"
				   : s.p[0] == '|' && s.n == 2 ? "or"
				   : s.p[0] == '!'             ? "not"
							       : NULL;

		if (word) {
			g = pol_diag(ctx->diags, POL_P0119, at, "`%.*s` is written `%s`",
				     POL_STR_ARG(s), word);
			return;
		}
	}
	pol_buf_clean(&clean, s);
	g = pol_diag(ctx->diags, POL_P0104, at, "unexpected character `%s`", clean.p);
	if (s.p[0] == '~')
		pol_diag_help(ctx->diags, g, "a regular expression is written ~\"...\"");
	pol_buf_free(&clean);
}

bool pol_text_check(struct pol_diags *d, const struct pol_source *src)
{
	const unsigned char *p = (const unsigned char *)src->text.p;

	for (size_t i = 0; i < src->text.n;) {
		struct pol_span at = { src->id, (uint32_t)i, (uint32_t)i + 1 };
		size_t len = pol_utf8_len(p + i, src->text.n - i);

		if (len == 1 && p[i]) {
			i++;
			continue;
		}
		if (!len || !p[i]) {
			struct pol_diag *g = pol_diag(d, POL_P0103, at,
						      p[i] ? "the text is not UTF-8"
							   : "the text has a NUL byte");

			if (src->text.n > 4 && !memcmp(p, "\177ELF", 4))
				pol_diag_help(d, g, "this is a compiled object, not a policy");
			return false;
		}
		i += len;
	}
	return true;
}
