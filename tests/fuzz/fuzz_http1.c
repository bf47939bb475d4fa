/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of the proxy's parser of HTTP/1.  The first byte says whether a request or a response
 * comes.  What is accepted must have what the parser promises, seen without it; and in whatever
 * pieces the bytes come, the answers are the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proxy/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct px_head head, again;

static void die(const char *why)
{
	fprintf(stderr, "%s\n", why);
	abort();
}

/* Size of the head, fed at once and byte by byte. */
static int find(const char *p, size_t n)
{
	struct px_fault fault = { 0 };
	size_t seen = 0;
	int whole = px_head_find(p, n, &seen, &fault), pieces = 0;

	seen = 0;
	for (size_t i = 1; i <= n && !pieces; i++)
		pieces = px_head_find(p, i, &seen, &fault);
	if (whole != pieces && !(whole < 0 && pieces < 0))
		die("the end of the head depends on the pieces");
	return whole;
}

/* Each line ends in CR LF, no other CR or LF, no control character but a tab, none folded. */
static void check_bytes(const char *p, size_t n, bool names)
{
	bool name = false;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		bool first = i >= 2 && p[i - 1] == '\n';

		if ((c == '\n') != (i && p[i - 1] == '\r') ||
		    (c < 0x20 && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
			die("a byte that no head may have");
		if (first && (c == ' ' || c == '\t'))
			die("a folded line");
		if (first)
			name = true;
		if (name && names && c == '_')
			die("`_` in a name");
		if (name && (c == ' ' || c == '\t'))
			die("white space in a name");
		if (c == ':')
			name = false;
	}
}

static unsigned count(const struct px_head *h, const char *name)
{
	unsigned n = 0;

	for (size_t i = 0; i < h->nfields; i++)
		n += pol_str_is(h->field[i].name, name);
	return n;
}

static void check_body(const struct px_head *h, const char *p, size_t n, bool trailers)
{
	struct px_body a, b;
	size_t at = 0;
	long took, one = 0;

	px_body_begin(&a, h->framing, h->length, trailers);
	b = a;
	took = px_body_take(&a, p, n);
	if (took > (long)n)
		die("more than there is");
	for (at = 0; at < n && !b.done; at++) {
		one = px_body_take(&b, p + at, 1);
		if (one < 0)
			break;
	}
	if ((took < 0) != (one < 0))
		die("whether a body is well formed depends on the pieces");
	if (took >= 0 && (a.done != b.done || (size_t)took != at))
		die("where a body ends depends on the pieces");
}

static size_t slashes(struct pol_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '/';
	return n;
}

/* With all decoded that is decoded for a policy the target is one that would be taken, of the same segments. */
static void check_reading(void)
{
	static char out[PX_TARGET_MAX];
	struct pol_str path = head.path, query = { path.p + path.n, head.target.n - path.n };
	struct pol_str read = pol_http_read(path, POL_HTTP_READ_PATH, out);
	struct px_fault fault = { 0 };

	if (slashes(read) != slashes(path))
		die("a segment that was not there");
	read.n += pol_http_read(query, POL_HTTP_READ_QUERY, out + read.n).n;
	again = (struct px_head){ .method = head.method, .target = read };
	if (!px_head_target(&again, &fault))
		die("decoded, it would be refused");
}

static void request(const char *p, size_t n)
{
	struct px_fault fault = { 0 };
	int size = find(p, n);

	if (size <= 0 || !px_request(&head, p, (size_t)size, &fault)) {
		if (size > 0 && (fault.status < 400 || fault.status > 599 || !fault.why))
			die("refused without a reason");
		return;
	}
	check_bytes(p, (size_t)size, true);
	if (count(&head, "host") != 1 ||
	    count(&head, "content-length") + count(&head, "transfer-encoding") > 1)
		die("Host or framing");
	if (!pol_str_is(head.method, "CONNECT") && pol_http_path_fault(head.path))
		die("a path that is not canonical");
	if (!pol_str_is(head.method, "CONNECT"))
		check_reading();
	if (!px_request(&again, p, (size_t)size, &fault) || again.nfields != head.nfields ||
	    again.framing != head.framing || again.length != head.length)
		die("not the same twice");
	check_body(&head, p + size, n - (size_t)size, false);
}

static void response(const char *p, size_t n)
{
	struct px_fault fault = { 0 };
	int size = find(p, n);

	if (size <= 0 || !px_response(&head, p, (size_t)size, "GET", false, &fault)) {
		if (size > 0 && (fault.status != 502 || !fault.why))
			die("refused without a reason");
		return;
	}
	check_bytes(p, (size_t)size, false);
	if (count(&head, "content-length") + count(&head, "transfer-encoding") > 1 ||
	    head.status == 101)
		die("framing or upgrade");
	check_body(&head, p + size, n - (size_t)size, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2)
		return 0;
	if (data[0] == 'S')
		response((const char *)data + 1, n - 1);
	else
		request((const char *)data + 1, n - 1);
	return 0;
}
