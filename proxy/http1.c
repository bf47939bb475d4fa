/* SPDX-License-Identifier: GPL-2.0-only */
#include "proxy/http1.h"

/* ---- bytes ------------------------------------------------------------------------- */

enum {
	TOKEN = 1, /* tchar (RFC 9110, 5.6.2) */
	VALUE = 2, /* field-vchar, SP and HTAB (5.5); obs-text, which is how UTF-8 comes */
	QUERY = 4, /* pchar, `/` and `?` (RFC 3986, 3.4) */
	HEX = 8,
	DIGIT = 16,
	HOST = 32, /* of a name or an IPv4 address (RFC 3986, 3.2.2), and `_` */
};
#define NAME (TOKEN | VALUE | QUERY)

/* One look-up a byte: every byte of every head passes here. */
static const uint8_t kind[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['!'] = NAME,
	['"'] = VALUE,
	['#'] = TOKEN | VALUE,
	['$' ... '\''] = NAME,
	['(' ... ')'] = VALUE | QUERY,
	['*' ... '+'] = NAME,
	[','] = VALUE | QUERY,
	['-' ... '.'] = NAME | HOST,
	['/'] = VALUE | QUERY,
	['0' ... '9'] = NAME | HEX | DIGIT | HOST,
	[':' ... ';'] = VALUE | QUERY,
	['<'] = VALUE,
	['='] = VALUE | QUERY,
	['>'] = VALUE,
	['?' ... '@'] = VALUE | QUERY,
	['A' ... 'F'] = NAME | HEX | HOST,
	['G' ... 'Z'] = NAME | HOST,
	['['] = VALUE | QUERY,
	['\\'] = VALUE,
	[']'] = VALUE | QUERY,
	['^'] = TOKEN | VALUE,
	['_'] = NAME | HOST,
	['`'] = TOKEN | VALUE,
	['a' ... 'f'] = NAME | HEX | HOST,
	['g' ... 'z'] = NAME | HOST,
	['{'] = VALUE,
	['|'] = TOKEN | VALUE,
	['}'] = VALUE,
	['~'] = NAME,
	[0x80 ... 0xff] = VALUE,
};

static bool is(char c, unsigned what)
{
	return kind[(unsigned char)c] & what;
}

bool px_is_token(unsigned char c)
{
	return kind[c] & TOKEN;
}

bool px_is_value(unsigned char c)
{
	return kind[c] & VALUE;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_word(struct pol_str s, const char *word)
{
	size_t n = strlen(word);

	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(s.p[i]) != word[i])
			return false;
	return true;
}

static bool bad(struct px_fault *f, unsigned status, const char *why)
{
	*f = (struct px_fault){ status, why };
	return false;
}

/* ---- where the head ends --------------------------------------------------------------- */

int px_head_find(const char *p, size_t n, size_t *seen, struct px_fault *fault)
{
	const char *lf = p + (*seen > 3 ? *seen - 3 : 0);

	while ((lf = memchr(lf, '\n', (size_t)(p + n - lf)))) {
		size_t i = (size_t)(lf++ - p);

		/* a line ends by CR LF: some take LF alone for an end and some do not (RFC 9112, 2.2) */
		if (!i || p[i - 1] != '\r')
			return bad(fault, 400, "a line that does not end in CR LF"), -1;
		if (i >= 3 && p[i - 2] == '\n' && p[i - 3] == '\r')
			return (int)(i + 1);
	}
	*seen = n;
	if (n >= PX_HEAD_MAX)
		return bad(fault, 431, "the head is too large"), -1;
	return 0;
}

/* ---- lines ---------------------------------------------------------------------------------- */

struct cursor {
	const char *p, *end;
};

/* The next line without its CR LF, which px_head_find has seen.  No byte of a line may be a CR. */
static struct pol_str line(struct cursor *c)
{
	const char *lf = memchr(c->p, '\n', (size_t)(c->end - c->p));
	struct pol_str l = { c->p, (size_t)(lf - c->p) - 1 };

	c->p = lf + 1;
	return l;
}

/* Those that say how to read the message. */
static enum px_known known(struct pol_str name)
{
#define IS(text, which)                                                                            \
	(name.n == sizeof(text) - 1 && !memcmp(name.p, text, sizeof(text) - 1) ? (which) : PX_KNOWN)
	switch (name.p[0]) {
	case 'c':
		return name.n == 10 ? IS("connection", PX_CONNECTION)
				    : IS("content-length", PX_LENGTH);
	case 'e':
		return IS("expect", PX_EXPECT);
	case 'h':
		return name.n == 4 ? IS("host", PX_HOST) : IS("http2-settings", PX_HTTP2);
	case 't':
		return name.n == 2 ? IS("te", PX_TE) : IS("transfer-encoding", PX_ENCODING);
	case 'u':
		return IS("upgrade", PX_UPGRADE);
	default:
		return PX_KNOWN;
	}
#undef IS
}

/* The name in lower case; what ends it is not a `:`, or there is no name: false. */
static bool field_name(struct px_head *h, struct pol_str l, size_t *names, bool request,
		       struct px_fault *fault)
{
	struct pol_http_field *f = &h->field[h->nfields];
	char *out = h->names + *names;
	size_t n = 0;

	for (; n < l.n && is(l.p[n], TOKEN); n++) {
		/* CGI and its heirs read `_` and `-` as the same (RFC 3875, 4.1.18) */
		if (request && l.p[n] == '_')
			return bad(fault, 400, "`_` in a header name");
		out[n] = lower(l.p[n]);
	}
	if (!n && (l.p[0] == ' ' || l.p[0] == '\t'))
		return bad(fault, 400, "a folded header line");
	if (!n || n == l.n)
		return bad(fault, 400, "a header line without a name");
	if (l.p[n] != ':')
		return bad(fault, 400, "a header name with a byte that no name has");
	f->name = (struct pol_str){ out, n };
	*names += n;
	return true;
}

static bool field(struct px_head *h, struct pol_str l, size_t *names, bool request,
		  struct px_fault *fault)
{
	struct pol_http_field *f = &h->field[h->nfields];
	enum px_known k;
	struct pol_str v;

	if (h->nfields == PX_FIELDS_MAX)
		return bad(fault, 431, "too many header lines");
	if (!field_name(h, l, names, request, fault))
		return false;
	v = (struct pol_str){ l.p + f->name.n + 1, l.n - f->name.n - 1 };
	for (size_t i = 0; i < v.n; i++)
		if (!is(v.p[i], VALUE))
			return bad(fault, 400, "a control character in a header");
	while (v.n && (v.p[0] == ' ' || v.p[0] == '\t'))
		v.p++, v.n--;
	while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	f->value = v;
	k = known(f->name);
	h->known[k].times++;
	h->known[k].last = (uint8_t)h->nfields++;
	return true;
}

static bool fields(struct px_head *h, struct cursor *c, bool request, struct px_fault *fault)
{
	size_t names = 0;

	for (;;) {
		struct pol_str l = line(c);

		if (!l.n)
			return true;
		if (!field(h, l, &names, request, fault))
			return false;
	}
}

/* ---- fields that say how to read the message -------------------------------------------------- */

unsigned px_head_count(const struct px_head *h, const char *name, struct pol_str *v)
{
	size_t len = strlen(name);
	unsigned n = 0;

	for (size_t i = 0; i < h->nfields; i++)
		if (h->field[i].name.n == len && !memcmp(h->field[i].name.p, name, len)) {
			*v = h->field[i].value;
			n++;
		}
	return n;
}

/* The same for those that the parser has noted. */
static unsigned count(const struct px_head *h, enum px_known k, struct pol_str *v)
{
	if (h->known[k].times)
		*v = h->field[h->known[k].last].value;
	return h->known[k].times;
}

/* The next element of a comma-separated list; false: there is none left. */
static bool element(struct pol_str *list, struct pol_str *out)
{
	size_t n = 0;

	if (!list->p)
		return false;
	while (n < list->n && list->p[n] != ',')
		n++;
	*out = (struct pol_str){ list->p, n };
	if (n == list->n)
		list->p = NULL;
	else
		list->p += n + 1, list->n -= n + 1;
	while (out->n && (out->p[0] == ' ' || out->p[0] == '\t'))
		out->p++, out->n--;
	while (out->n && (out->p[out->n - 1] == ' ' || out->p[out->n - 1] == '\t'))
		out->n--;
	return true;
}

/*
 * What Connection names is removed by whoever forwards (RFC 9110, 7.6.1), so naming a header there
 * would take it away behind our back.  Only what says how the connection goes on is let through.
 */
static bool connection(struct px_head *h, bool *upgrade, struct px_fault *fault)
{
	*upgrade = false;
	for (size_t i = 0; i < h->nfields && h->known[PX_CONNECTION].times; i++) {
		struct pol_str list = h->field[i].value, e;

		if (!pol_str_is(h->field[i].name, "connection"))
			continue;
		while (element(&list, &e)) {
			if (same_word(e, "close"))
				h->close = true;
			else if (same_word(e, "keep-alive"))
				h->keep_alive = true;
			else if (same_word(e, "upgrade"))
				*upgrade = true;
			else if (!same_word(e, "te"))
				return bad(fault, 400, "Connection names another header");
		}
	}
	if (h->close && h->keep_alive)
		return bad(fault, 400, "Connection: both close and keep-alive");
	return true;
}

bool px_head_length(struct px_head *h, struct pol_str v, struct px_fault *fault)
{
	h->length = 0;
	if (!v.n || v.n > 18)
		return bad(fault, 400, "Content-Length is no length");
	for (size_t i = 0; i < v.n; i++) {
		if (!is(v.p[i], DIGIT))
			return bad(fault, 400, "Content-Length is no length");
		h->length = h->length * 10 + (uint64_t)(v.p[i] - '0');
	}
	if (v.n > 1 && v.p[0] == '0')
		return bad(fault, 400, "Content-Length with leading zeros");
	h->framing = PX_BODY_LENGTH;
	return true;
}

/* RFC 9112, 6: never two ways to tell where the body ends. */
static bool framing(struct px_head *h, struct px_fault *fault)
{
	struct pol_str te = { NULL, 0 }, cl = { NULL, 0 };
	unsigned nte = count(h, PX_ENCODING, &te), ncl = count(h, PX_LENGTH, &cl);

	h->framing = PX_BODY_NONE;
	h->length = 0;
	if (nte && ncl)
		return bad(fault, 400, "both Transfer-Encoding and Content-Length");
	if (nte > 1 || ncl > 1)
		return bad(fault, 400, "a framing header twice");
	if (nte && h->minor0)
		return bad(fault, 400, "Transfer-Encoding in HTTP/1.0");
	if (nte && !same_word(te, "chunked"))
		return bad(fault, 501, "a Transfer-Encoding other than chunked");
	if (nte)
		h->framing = PX_BODY_CHUNKED;
	return !ncl || px_head_length(h, cl, fault);
}

/* ---- requests ------------------------------------------------------------------------------------ */

bool px_head_host(struct px_head *h, struct pol_str v, struct px_fault *fault)
{
	size_t at = 0, port;

	if (v.n && v.p[0] == '[') {
		for (at = 1; at < v.n && (is(v.p[at], HEX) || v.p[at] == ':' || v.p[at] == '.');)
			at++;
		if (at < 3 || at == v.n || v.p[at] != ']')
			return bad(fault, 400, "Host is no host");
		at++;
	} else {
		while (at < v.n && is(v.p[at], HOST))
			at++;
		if (!at || v.p[0] == '.' || v.p[0] == '-' || v.p[at - 1] == '.')
			return bad(fault, 400, "Host is no host");
	}
	if (at >= sizeof(h->host))
		return bad(fault, 400, "Host is too long");
	port = at;
	if (port < v.n && v.p[port++] != ':')
		return bad(fault, 400, "Host is no host");
	if (port < v.n && v.n - port > 5)
		return bad(fault, 400, "Host has no port number");
	if (port == v.n && port > at)
		return bad(fault, 400, "Host has no port number");
	for (; port < v.n; port++)
		if (!is(v.p[port], DIGIT))
			return bad(fault, 400, "Host has no port number");
	for (size_t i = 0; i < at; i++)
		h->host[i] = lower(v.p[i]);
	h->nhost = at;
	return true;
}

static bool host(struct px_head *h, struct px_fault *fault)
{
	struct pol_str v = { NULL, 0 };
	unsigned n = count(h, PX_HOST, &v);

	return n == 1 ? px_head_host(h, v, fault) : bad(fault, 400, n ? "Host twice" : "no Host");
}

static bool override(struct pol_str name)
{
	static const char *const names[] = { "x-http-method-override", "x-http-method",
					     "x-method-override",      "x-original-url",
					     "x-rewrite-url",          "x-original-method",
					     "proxy-connection" };

	if (!name.n || (name.p[0] != 'x' && name.p[0] != 'p'))
		return false;
	for (size_t i = 0; i < POL_ARRAY_LEN(names); i++)
		if (pol_str_is(name, names[i]))
			return true;
	return false;
}

bool px_head_overrides(const struct px_head *h, struct px_fault *fault)
{
	for (size_t i = 0; i < h->nfields; i++)
		if (override(h->field[i].name))
			return bad(fault, 400,
				   "a header that overrides what the request line says");
	return true;
}

/* pchar, `/` and `?` (RFC 3986, 3.4). */
static bool query_ok(struct pol_str q)
{
	for (size_t i = 0; i < q.n; i++) {
		if (q.p[i] == '%') {
			if (i + 2 >= q.n || !is(q.p[i + 1], HEX) || !is(q.p[i + 2], HEX))
				return false;
			continue;
		}
		if (!is(q.p[i], QUERY))
			return false;
	}
	return true;
}

bool px_head_target(struct px_head *h, struct px_fault *fault)
{
	const char *mark = memchr(h->target.p, '?', h->target.n), *why;

	h->path = h->target;
	if (h->target.n > PX_TARGET_MAX)
		return bad(fault, 414, "the target is too long");
	if (pol_str_is(h->method, "CONNECT")) {
		/* no path: no line can match it */
		for (size_t i = 0; i < h->target.n; i++)
			if (!is(h->target.p[i], TOKEN) &&
			    (!h->target.p[i] || !strchr(":[]", h->target.p[i])))
				return bad(fault, 400, "not a host and port");
		return true;
	}
	if (mark) {
		struct pol_str q = { mark + 1, (size_t)(h->target.p + h->target.n - mark - 1) };

		h->path.n = (size_t)(mark - h->target.p);
		if (!query_ok(q))
			return bad(fault, 400, "a byte in the query that no URL may contain");
	}
	why = pol_http_path_fault(h->path);
	return why ? bad(fault, 400, why) : true;
}

bool px_head_method(const struct px_head *h, struct px_fault *fault)
{
	struct pol_str s = h->method;

	for (size_t i = 0; i < s.n; i++) {
		if (!is(s.p[i], TOKEN))
			return bad(fault, 400, "a method with a byte that none has");
		if (s.p[i] >= 'a' && s.p[i] <= 'z')
			return bad(fault, 400, "a method in lower case");
	}
	if (s.n > PX_METHOD_MAX)
		return bad(fault, 400, "the method is too long");
	return s.n || bad(fault, 400, "no method");
}

/* METHOD SP TARGET SP HTTP/1.x: one space each. */
static bool request_line(struct px_head *h, struct pol_str l, struct px_fault *fault)
{
	const char *sp = memchr(l.p, ' ', l.n), *end = l.p + l.n, *second;

	for (const char *p = l.p; p < (sp ? sp : end); p++)
		if (!is(*p, TOKEN))
			return bad(fault, 400, "not HTTP");
	if (!sp || sp == l.p)
		return bad(fault, 400, "not HTTP");
	second = memchr(sp + 1, ' ', (size_t)(end - sp - 1));
	if (!second || end - second != 9 || memcmp(second + 1, "HTTP/", 5) != 0)
		return bad(fault, 400, "not a request of HTTP/1");
	if (!is(second[6], DIGIT) || second[7] != '.' || !is(second[8], DIGIT))
		return bad(fault, 400, "not a request of HTTP/1");
	if (second[6] != '1' || second[8] > '1')
		return bad(fault, 505, "neither HTTP/1.1 nor HTTP/1.0");
	h->minor0 = second[8] == '0';
	h->method = (struct pol_str){ l.p, (size_t)(sp - l.p) };
	h->target = (struct pol_str){ sp + 1, (size_t)(second - sp - 1) };
	return px_head_method(h, fault) && px_head_target(h, fault);
}

bool px_head_expect(struct px_head *h, struct px_fault *fault)
{
	struct pol_str v;
	unsigned n = px_head_count(h, "expect", &v);

	if (!n)
		return true;
	if (n > 1 || !same_word(v, "100-continue"))
		return bad(fault, 417, "an expectation other than 100-continue");
	h->expects = !h->minor0;
	return true;
}

/* Nothing but a websocket is ever upgraded to: not HTTP/2, whose streams nobody would look at. */
static bool upgrade(struct px_head *h, bool named, struct px_fault *fault)
{
	struct pol_str v;
	unsigned n = count(h, PX_UPGRADE, &v);

	if (!n != !named)
		return bad(fault, 400,
			   "Upgrade without Connection: upgrade, or the other way round");
	if (n > 1 || (n && !same_word(v, "websocket")))
		return bad(fault, 400, "an Upgrade other than websocket");
	if (count(h, PX_HTTP2, &v))
		return bad(fault, 400, "an Upgrade other than websocket");
	if (n && (h->minor0 || h->framing != PX_BODY_NONE || !pol_str_is(h->method, "GET")))
		return bad(fault, 400, "an Upgrade of anything but a GET without a body");
	h->upgrade = n || pol_str_is(h->method, "CONNECT");
	return true;
}

static void head_begin(struct px_head *h, size_t n)
{
	memset(h, 0, offsetof(struct px_head, field));
	memset(h->known, 0, sizeof(h->known));
	h->nfields = 0;
	h->size = n;
	h->nhost = 0;
	h->framing = PX_BODY_NONE;
	h->length = 0;
	h->close = h->keep_alive = h->upgrade = h->expects = false;
}

/* Each of them: readers join several to a list (RFC 9110, 5.3). */
static bool codings(const struct px_head *h, struct px_fault *fault)
{
	for (size_t i = 0; i < h->nfields && h->known[PX_TE].times; i++)
		if (pol_str_is(h->field[i].name, "te") && !same_word(h->field[i].value, "trailers"))
			return bad(fault, 400, "TE other than trailers");
	return true;
}

bool px_request(struct px_head *h, const char *p, size_t n, struct px_fault *fault)
{
	struct cursor c = { p, p + n };
	bool named;

	head_begin(h, n);
	return request_line(h, line(&c), fault) && fields(h, &c, true, fault) && host(h, fault) &&
	       framing(h, fault) && connection(h, &named, fault) && px_head_overrides(h, fault) &&
	       (!h->known[PX_EXPECT].times || px_head_expect(h, fault)) &&
	       upgrade(h, named, fault) && codings(h, fault);
}

/* ---- responses ------------------------------------------------------------------------------------- */

static bool status_line(struct px_head *h, struct pol_str l, struct px_fault *fault)
{
	if (l.n < 12 || memcmp(l.p, "HTTP/1.", 7) != 0 || (l.p[7] != '0' && l.p[7] != '1') ||
	    l.p[8] != ' ' || (l.n > 12 && l.p[12] != ' '))
		return bad(fault, 502, "the server's status line is none");
	for (size_t i = 9; i < 12; i++) {
		if (!is(l.p[i], DIGIT))
			return bad(fault, 502, "the server's status line is none");
		h->status = h->status * 10 + (unsigned)(l.p[i] - '0');
	}
	for (size_t i = 12; i < l.n; i++)
		if (!is(l.p[i], VALUE))
			return bad(fault, 502, "a control character in the server's status line");
	h->minor0 = l.p[7] == '0';
	return h->status >= 100 && h->status <= 599
		       ? true
		       : bad(fault, 502, "the server's status is none");
}

bool px_response(struct px_head *h, const char *p, size_t n, const char *method, bool wants_upgrade,
		 struct px_fault *fault)
{
	struct cursor c = { p, p + n };
	bool named;

	head_begin(h, n);
	if (!status_line(h, line(&c), fault) || !fields(h, &c, false, fault) ||
	    !framing(h, fault) || !connection(h, &named, fault)) {
		fault->status = 502;
		return false;
	}
	h->upgrade = h->status == 101;
	if (h->upgrade && !(wants_upgrade && named))
		return bad(fault, 502, "the server upgrades unasked");
	if (h->status < 200 || h->status == 204) {
		/* RFC 9110, 8.6; RFC 9112, 6.1: neither may stand there */
		if (h->framing != PX_BODY_NONE && !(h->framing == PX_BODY_LENGTH && !h->length))
			return bad(fault, 502, "a body where the server may send none");
		h->framing = PX_BODY_NONE;
	} else if (h->status == 304 || !strcmp(method, "HEAD")) {
		h->framing = PX_BODY_NONE;
	} else if (h->framing == PX_BODY_NONE) {
		h->framing = PX_BODY_CLOSE;
	}
	return true;
}

/* ---- bodies ------------------------------------------------------------------------------------------- */

enum {
	CHUNK_SIZE,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER,
	TRAILER_LF,
	LAST_LF
};

#define TRAILERS_MAX 4096u

void px_body_begin(struct px_body *b, enum px_framing f, uint64_t length, bool trailers)
{
	*b = (struct px_body){ .framing = f,
			       .trailers = trailers,
			       .left = f == PX_BODY_LENGTH ? length : 0 };
	b->done = f == PX_BODY_NONE || (f == PX_BODY_LENGTH && !length);
}

/* One byte of the chunked framing (RFC 9112, 7.1); extensions are refused.  false: not well formed. */
static bool chunk_byte(struct px_body *b, unsigned char c)
{
	switch (b->state) {
	case CHUNK_SIZE:
		if (is((char)c, HEX)) {
			if (++b->line > 15) /* 60 bits: no overflow */
				return false;
			b->left = b->left << 4 |
				  (uint64_t)(is((char)c, DIGIT) ? c - '0'
								: lower((char)c) - 'a' + 10);
			return true;
		}
		b->state = CHUNK_SIZE_LF;
		return c == '\r' && b->line;
	case CHUNK_SIZE_LF:
		b->state = b->left ? CHUNK_DATA : TRAILER_START;
		b->line = 0;
		return c == '\n';
	case CHUNK_DATA_CR:
		b->state = CHUNK_DATA_LF;
		return c == '\r';
	case CHUNK_DATA_LF:
		b->state = CHUNK_SIZE;
		return c == '\n';
	case TRAILER_START:
		b->state = c == '\r' ? LAST_LF : TRAILER_NAME;
		return c == '\r' || (b->trailers && px_is_token(c) && ++b->line < TRAILERS_MAX);
	case TRAILER_NAME:
		if (c == ':')
			b->state = TRAILER;
		return c == ':' || (px_is_token(c) && ++b->line < TRAILERS_MAX);
	case TRAILER:
		if (c == '\r')
			b->state = TRAILER_LF;
		return c == '\r' || (px_is_value(c) && ++b->line < TRAILERS_MAX);
	case TRAILER_LF:
		b->state = TRAILER_START;
		return c == '\n';
	case LAST_LF:
		b->done = true;
		return c == '\n';
	default:
		return false;
	}
}

static long chunked(struct px_body *b, const char *p, size_t n)
{
	size_t at = 0;

	while (at < n && !b->done) {
		if (b->state == CHUNK_DATA) {
			size_t take = b->left < n - at ? (size_t)b->left : n - at;

			at += take;
			b->left -= take;
			if (!b->left)
				b->state = CHUNK_DATA_CR;
		} else if (!chunk_byte(b, (unsigned char)p[at++])) {
			return -1;
		}
	}
	return (long)at;
}

uint64_t px_body_opaque(const struct px_body *b)
{
	if (b->done)
		return 0;
	if (b->framing == PX_BODY_CLOSE)
		return UINT64_MAX;
	return b->framing == PX_BODY_LENGTH || b->state == CHUNK_DATA ? b->left : 0;
}

void px_body_skip(struct px_body *b, uint64_t n)
{
	if (b->framing == PX_BODY_CLOSE || !n)
		return;
	b->left -= n;
	if (b->left)
		return;
	if (b->framing == PX_BODY_LENGTH)
		b->done = true;
	else
		b->state = CHUNK_DATA_CR;
}

long px_body_take(struct px_body *b, const char *p, size_t n)
{
	size_t take;

	if (b->done)
		return 0;
	if (b->framing == PX_BODY_CLOSE)
		return (long)n;
	if (b->framing == PX_BODY_CHUNKED)
		return chunked(b, p, n);
	take = b->left < n ? (size_t)b->left : n;
	b->left -= take;
	b->done = !b->left;
	return (long)take;
}
