/* SPDX-License-Identifier: GPL-2.0-only */
/* Field sections: what a request and a response of HTTP/2 must be (RFC 9113, 8). */
#include "proxy/h2.h"

static bool bad(struct px_fault *f, unsigned status, const char *why)
{
	*f = (struct px_fault){ status, why };
	return false;
}

/* ---- keeping them ------------------------------------------------------------------- */

bool px_section_add(struct px_section *s, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags)
{
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);

	/* what one field can add is bounded by libnghttp2: no overflow before it is noticed */
	s->size += (uint32_t)(n.len + v.len) + 32;
	if (s->large || s->size > PX_H2_LIST_MAX || s->n == PX_SECTION_MAX) {
		s->large = true; /* the table must follow (RFC 9113, 4.3), nothing is kept */
		s->size = 0;
		return true;
	}
	if (s->n == s->room) {
		uint32_t room = s->room ? s->room * 2 : 16;
		void *p = realloc(s->field, room * sizeof(*s->field));

		if (!p)
			return false;
		s->field = p;
		s->room = room;
	}
	nghttp2_rcbuf_incref(name);
	nghttp2_rcbuf_incref(value);
	s->field[s->n++] = (struct px_section_field){ name, value, flags };
	return true;
}

void px_section_free(struct px_section *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		nghttp2_rcbuf_decref(s->field[i].name);
		nghttp2_rcbuf_decref(s->field[i].value);
	}
	free(s->field);
	*s = (struct px_section){ 0 };
}

static struct pol_str slice(nghttp2_rcbuf *b)
{
	nghttp2_vec v = nghttp2_rcbuf_get_buf(b);

	return (struct pol_str){ (const char *)v.base, v.len };
}

size_t px_section_out(const struct px_section *s, nghttp2_nv *out)
{
	for (uint32_t i = 0; i < s->n; i++) {
		nghttp2_vec n = nghttp2_rcbuf_get_buf(s->field[i].name),
			    v = nghttp2_rcbuf_get_buf(s->field[i].value);

		out[i] = (nghttp2_nv){ n.base, v.base, n.len, v.len,
				       s->field[i].flags & NGHTTP2_NV_FLAG_NO_INDEX };
	}
	return s->n;
}

/* ---- what any field must be ------------------------------------------------------------ */

/* What says how an HTTP/1 connection goes on has no meaning here, and gains one behind a gateway. */
static bool of_connection(struct pol_str name)
{
	static const char *const names[] = { "connection", "keep-alive",        "proxy-connection",
					     "upgrade",    "transfer-encoding", "http2-settings" };

	for (size_t i = 0; i < POL_ARRAY_LEN(names); i++)
		if (pol_str_is(name, names[i]))
			return true;
	return false;
}

/* RFC 9113, 8.2.1; a name is lower case, a value has nothing around it that readers take off. */
static bool field(struct pol_str name, struct pol_str value, bool request, struct px_fault *fault)
{
	if (!name.n)
		return bad(fault, 400, "a header without a name");
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (!px_is_token(c))
			return bad(fault, 400, "a header name with a byte that no name has");
		if (c >= 'A' && c <= 'Z')
			return bad(fault, 400, "a header name in upper case");
		/* CGI and its heirs read `_` and `-` as the same (RFC 3875, 4.1.18) */
		if (request && c == '_')
			return bad(fault, 400, "`_` in a header name");
	}
	for (size_t i = 0; i < value.n; i++)
		if (!px_is_value((unsigned char)value.p[i]))
			return bad(fault, 400, "a control character in a header");
	if (value.n && (strchr(" \t", value.p[0]) || strchr(" \t", value.p[value.n - 1])))
		return bad(fault, 400, "white space around a header's value");
	if (of_connection(name))
		return bad(fault, 400, "a header of HTTP/1 connections");
	if (pol_str_is(name, "te") && !(request && pol_str_is(value, "trailers")))
		return bad(fault, 400, "TE other than trailers");
	return true;
}

/* ---- requests ---------------------------------------------------------------------------- */

struct pseudo {
	struct pol_str method, scheme, authority, path, protocol, status;
};

/* Each once, none unknown, all before the first field (8.3).  *first: where the fields begin. */
static bool pseudo(const struct px_section *s, struct pseudo *p, uint32_t *first,
		   struct px_fault *fault)
{
	const struct {
		const char *name;
		struct pol_str *to;
	} known[] = {
		{ ":method", &p->method },       { ":scheme", &p->scheme },
		{ ":authority", &p->authority }, { ":path", &p->path },
		{ ":protocol", &p->protocol },   { ":status", &p->status },
	};
	uint32_t i;

	*p = (struct pseudo){ 0 };
	for (i = 0; i < s->n; i++) {
		struct pol_str name = slice(s->field[i].name), value = slice(s->field[i].value);
		size_t k = 0;

		if (!name.n || name.p[0] != ':')
			break;
		while (k < POL_ARRAY_LEN(known) && !pol_str_is(name, known[k].name))
			k++;
		if (k == POL_ARRAY_LEN(known))
			return bad(fault, 400, "a pseudo-header that there is not");
		if (known[k].to->p)
			return bad(fault, 400, "a pseudo-header twice");
		*known[k].to = value;
	}
	*first = i;
	return true;
}

/* Cookies may come in crumbs, for the table's sake; what counts is what the server makes of them. */
static bool cookies(struct px_head *h, const struct px_section *s, uint32_t first)
{
	struct pol_http_field *f = NULL;
	size_t at = 0;
	unsigned n = 0;

	for (uint32_t i = first; i < s->n; i++)
		n += pol_str_is(slice(s->field[i].name), "cookie");
	if (n < 2)
		return true;
	for (size_t i = 0; i < h->nfields;) {
		struct pol_str v = h->field[i].value;

		if (!pol_str_is(h->field[i].name, "cookie")) {
			i++;
			continue;
		}
		if (at + v.n + 2 > sizeof(h->names))
			return false;
		memcpy(h->names + at, v.p, v.n);
		at += v.n;
		if (--n) {
			memcpy(h->names + at, "; ", 2);
			at += 2;
		}
		if (!f) {
			f = &h->field[i++];
			continue;
		}
		h->nfields--;
		memmove(&h->field[i], &h->field[i + 1], (h->nfields - i) * sizeof(*f));
	}
	f->value = (struct pol_str){ h->names, at };
	return true;
}

static bool fields(struct px_head *h, const struct px_section *s, uint32_t first, bool request,
		   struct px_fault *fault)
{
	h->nfields = 0;
	for (uint32_t i = first; i < s->n; i++) {
		struct pol_http_field *f = &h->field[h->nfields];

		if (h->nfields == PX_FIELDS_MAX)
			return bad(fault, 431, "too many header lines");
		f->name = slice(s->field[i].name);
		f->value = slice(s->field[i].value);
		if (f->name.n && f->name.p[0] == ':')
			return bad(fault, 400, "a pseudo-header behind a header");
		if (!field(f->name, f->value, request, fault))
			return false;
		h->nfields++;
	}
	return true;
}

/* Both name the host, and readers differ in which they take: they must be the same (8.3.1). */
static bool host(struct px_head *h, struct pol_str authority, struct px_fault *fault)
{
	struct pol_str v = { NULL, 0 };
	unsigned n = px_head_count(h, "host", &v);

	if (n > 1)
		return bad(fault, 400, "Host twice");
	if (!n && !authority.p)
		return bad(fault, 400, "neither :authority nor Host");
	if (n && authority.p && !pol_str_eq(v, authority))
		return bad(fault, 400, ":authority and Host are not the same");
	return px_head_host(h, authority.p ? authority : v, fault);
}

static bool framing(struct px_head *h, bool end, struct px_fault *fault)
{
	struct pol_str v = { NULL, 0 };
	unsigned n = px_head_count(h, "content-length", &v);

	h->framing = PX_BODY_NONE;
	h->length = 0;
	if (n > 1)
		return bad(fault, 400, "a framing header twice");
	if (n && !px_head_length(h, v, fault))
		return false;
	if (!n && !end)
		h->framing = PX_BODY_CLOSE; /* its end is a frame's flag */
	return true;
}

/* The request's target, by what its method and :protocol make of the pseudo-headers. */
static bool target(struct px_head *h, const struct pseudo *p, bool end, struct px_fault *fault)
{
	h->method = p->method;
	if (!px_head_method(h, fault))
		return false;
	if (p->protocol.p) {
		if (!pol_str_is(p->method, "CONNECT") || end)
			return bad(fault, 400, ":protocol without a CONNECT");
		if (!pol_str_is(p->protocol, "websocket"))
			return bad(fault, 400, "a :protocol other than websocket");
		h->method = (struct pol_str){ "GET", 3 };
		h->upgrade = true;
	} else if (pol_str_is(p->method, "CONNECT")) {
		if (p->scheme.p || p->path.p || !p->authority.p)
			return bad(fault, 400, "a CONNECT with more or less than :authority");
		h->upgrade = true;
		h->target = p->authority;
		return px_head_target(h, fault);
	}
	if (!pol_str_is(p->scheme, "http") && !pol_str_is(p->scheme, "https"))
		return bad(fault, 400, "a :scheme other than http and https");
	h->target = p->path;
	return p->path.n ? px_head_target(h, fault) : bad(fault, 400, "no :path");
}

static void begin(struct px_head *h)
{
	h->minor0 = h->close = h->keep_alive = h->upgrade = h->expects = false;
	h->method = h->target = h->path = (struct pol_str){ "", 0 };
	h->status = 0;
	h->nfields = h->nhost = 0;
	h->framing = PX_BODY_NONE;
	h->length = 0;
}

bool px_h2_request(struct px_head *h, const struct px_section *s, bool end, struct px_fault *fault)
{
	struct pseudo p;
	uint32_t first;

	begin(h);
	if (s->large)
		return bad(fault, 431, "the head is too large");
	if (!pseudo(s, &p, &first, fault))
		return false;
	if (p.status.p)
		return bad(fault, 400, ":status in a request");
	if (!target(h, &p, end, fault) || !fields(h, s, first, true, fault) ||
	    !host(h, p.authority, fault) || !framing(h, end, fault) ||
	    !px_head_overrides(h, fault) || !px_head_expect(h, fault))
		return false;
	if (h->framing == PX_BODY_LENGTH && (h->upgrade || (end && h->length)))
		return bad(fault, 400, "a Content-Length without that body");
	return cookies(h, s, first) || bad(fault, 431, "the head is too large");
}

/* ---- responses -------------------------------------------------------------------------------- */

static bool status(struct px_head *h, struct pol_str v, struct px_fault *fault)
{
	if (v.n != 3)
		return bad(fault, 502, "the server's status is none");
	for (size_t i = 0; i < 3; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return bad(fault, 502, "the server's status is none");
		h->status = h->status * 10 + (unsigned)(v.p[i] - '0');
	}
	/* 101 has no meaning here (RFC 9113, 8.6) */
	return (h->status >= 100 && h->status <= 599 && h->status != 101) ||
	       bad(fault, 502, "the server's status is none");
}

static bool response(struct px_head *h, const struct px_section *s, struct px_fault *fault)
{
	struct pseudo p;
	uint32_t first;

	if (s->large)
		return bad(fault, 502, "the head is too large");
	if (!pseudo(s, &p, &first, fault))
		return false;
	if (p.method.p || p.scheme.p || p.authority.p || p.path.p || p.protocol.p || !p.status.p)
		return bad(fault, 502, "a response with another pseudo-header than :status");
	return status(h, p.status, fault) && fields(h, s, first, false, fault);
}

bool px_h2_response(struct px_head *h, const struct px_section *s, bool end, bool head_only,
		    bool upgrade, struct px_fault *fault)
{
	bool none;

	begin(h);
	if (!response(h, s, fault) || !framing(h, end, fault)) {
		fault->status = 502;
		return false;
	}
	if (h->status < 200 && (end || h->framing == PX_BODY_LENGTH))
		return bad(fault, 502, "an interim response that ends, or has a body");
	if (h->status == 204 && h->framing == PX_BODY_LENGTH)
		return bad(fault, 502, "a body where the server may send none");
	none = head_only || h->status == 304 || h->status == 204;
	if (upgrade && h->status >= 200 && h->status < 300)
		return h->framing != PX_BODY_LENGTH ||
		       bad(fault, 502, "a websocket with a Content-Length");
	if (none && !end) {
		h->framing = PX_BODY_LENGTH; /* an empty frame may still end it */
		h->length = 0;
	} else if (end && !none && h->length) {
		return bad(fault, 502, "a Content-Length without that body");
	}
	return true;
}

bool px_h2_trailers(const struct px_section *s, struct px_fault *fault)
{
	if (s->large)
		return bad(fault, 502, "the trailers are too large");
	for (uint32_t i = 0; i < s->n; i++) {
		struct pol_str name = slice(s->field[i].name);

		if (name.n && name.p[0] == ':')
			return bad(fault, 502, "a pseudo-header in trailers");
		if (!field(name, slice(s->field[i].value), false, fault))
			return false;
	}
	return true;
}
