/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of connections through the proxy: both ends say anything, in turns that two bytes 0x1e end.
 * A turn that is EOT alone ends what that side sends, CAN alone lets the connection's time run out.  The
 * first byte says whether the policy denies (1), whether both ends begin with SETTINGS (not 2), and whether
 * it is HTTP/1 (4).  Whatever they say, what reaches the server has to be what a policy can judge: of
 * HTTP/2 seen by a reader of its own, of HTTP/1 by one that gets the whole at once.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define EOT 0x04
#define CAN 0x18
enum { DENIES = 1, BARE = 2, HTTP1 = 4 };

static struct px_worker worker;
static struct px_generation generation = {
	.number = 1, .held = 1, .flows = -1, .ep_info = -1, .ep_by_addr = -1
};

static void die(const char *why)
{
	fprintf(stderr, "%s\n", why);
	abort();
}

/* ---- what the server gets ----------------------------------------------------------- */

static struct {
	uint8_t bytes[1 << 20];
	size_t n, at;
	nghttp2_hd_inflater *inflater;
	bool preface, denied, http1;
} seen;

static bool clean(const uint8_t *p, size_t n, bool name)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < 0x20 ? p[i] != '\t' || name : p[i] == 0x7f)
			return false;
		if (name &&
		    (p[i] > 0x7e || p[i] == ' ' || p[i] == '_' || (p[i] >= 'A' && p[i] <= 'Z')))
			return false;
	}
	return !n || (p[0] != ' ' && p[0] != '\t' && p[n - 1] != ' ' && p[n - 1] != '\t');
}

static bool is(const nghttp2_nv *nv, const char *name)
{
	return nv->namelen == strlen(name) && !memcmp(nv->name, name, nv->namelen);
}

/* One field of a request; *state: bits of what came. */
static void check_field(const nghttp2_nv *nv, unsigned *state)
{
	static const char *const pseudo[] = { ":method", ":path", ":scheme", ":authority",
					      ":protocol" };
	static const char *const never[] = { "connection",    "transfer-encoding", "upgrade",
					     "keep-alive",    "proxy-connection",  "http2-settings",
					     "x-original-url" };
	bool colon = nv->namelen && nv->name[0] == ':';

	if (!nv->namelen || !clean(nv->name, nv->namelen, true) ||
	    !clean(nv->value, nv->valuelen, false))
		die("a field that none is");
	if (colon && *state & 0x100)
		die("a pseudo-header behind a header");
	if (!colon)
		*state |= 0x100;
	for (unsigned i = 0; colon && i < POL_ARRAY_LEN(pseudo); i++)
		if (is(nv, pseudo[i])) {
			if (*state & 1u << i)
				die("a pseudo-header twice");
			*state |= 1u << i;
			colon = false;
		}
	if (colon)
		die("an unknown pseudo-header");
	for (unsigned i = 0; i < POL_ARRAY_LEN(never); i++)
		if (is(nv, never[i]))
			die("a header that must not pass");
	if (is(nv, ":path")) {
		const uint8_t *query = memchr(nv->value, '?', nv->valuelen);
		size_t m = query ? (size_t)(query - nv->value) : nv->valuelen;

		if (pol_http_path_fault((struct pol_str){ (const char *)nv->value, m }))
			die("a path that is not canonical");
	}
	if (is(nv, "host")) {
		if (*state & 0x200)
			die("Host twice");
		*state |= 0x200;
	}
}

static void check_section(const uint8_t *p, size_t n)
{
	unsigned state = 0;
	nghttp2_nv nv;
	int flags = 0;

	while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		ssize_t used = nghttp2_hd_inflate_hd2(seen.inflater, &nv, &flags, p, n, 1);

		if (used < 0)
			die("a section that cannot be read");
		p += used;
		n -= (size_t)used;
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			check_field(&nv, &state);
		else if (!n && !(flags & NGHTTP2_HD_INFLATE_FINAL))
			die("half a section");
	}
	nghttp2_hd_inflate_end_headers(seen.inflater);
	if ((state & 7) != 7 || !(state & 0x208))
		die("a request without method, path, scheme or host");
}

/* Requests, each where the one before it ends; the last may be a part of one. */
static void check_sent_http1(void)
{
	static struct px_head head;
	const char *p = (const char *)seen.bytes, *end = p + seen.n;

	if (seen.denied && seen.n)
		die("a part of what is denied");
	while (p < end) {
		struct px_fault fault = { 0 };
		struct px_body body;
		size_t at = 0;
		int size = px_head_find(p, (size_t)(end - p), &at, &fault);
		long took;

		if (!size)
			return;
		if (size < 0 || !px_request(&head, p, (size_t)size, &fault))
			die("what is no request");
		p += size;
		if (head.upgrade && worker.count.tunnels)
			return;
		px_body_begin(&body, head.framing, head.length, false);
		took = px_body_take(&body, p, (size_t)(end - p));
		if (took < 0)
			die("a body that breaks its framing");
		p += took;
		if (!body.done)
			return;
	}
}

static void check_sent(void)
{
	static uint8_t section[1 << 17];
	static size_t have;

	if (!seen.preface && seen.n >= 24) {
		if (memcmp(seen.bytes, PREFACE, 24) != 0)
			die("no preface");
		seen.preface = true;
		seen.at = 24;
		have = 0;
	}
	while (seen.preface && seen.n - seen.at >= 9) {
		const uint8_t *p = seen.bytes + seen.at;
		size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];

		if (seen.n - seen.at < 9 + n)
			break;
		if (p[3] == NGHTTP2_HEADERS)
			have = 0;
		if (p[3] == NGHTTP2_HEADERS || p[3] == NGHTTP2_CONTINUATION) {
			if (p[3] == NGHTTP2_HEADERS && p[4] & ~5)
				die("flags that a submitted request has not");
			memcpy(section + have, p + 9, n);
			have += n;
			if (p[4] & NGHTTP2_FLAG_END_HEADERS)
				check_section(section, have);
		}
		seen.at += 9 + n;
	}
}

/* ---- one connection ---------------------------------------------------------------------- */

static struct px_conn *connection(int peer[2], unsigned how)
{
	bool denies = how & DENIES;
	struct px_conn *c = calloc(1, sizeof(*c));
	int a[2], b[2];

	if (!c || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b))
		die("no connection");
	c->w = &worker;
	c->client = a[0];
	c->server = b[0];
	peer[PX_CLIENT] = a[1];
	peer[PX_SERVER] = b[1];
	c->link = &worker.first;
	worker.first = c;
	worker.count.open++;
	c->protocol = how & HTTP1 ? &px_http1 : &px_http2;
	c->flow.gen = 1;
	c->flow.side[POL_INGRESS].judged = denies;
	c->flow.side[POL_INGRESS].nhttp = denies; /* no image has that rule */
	c->on_client.data = c->on_server.data = c->timer.data = c;
	return c;
}

/* What the proxy says to both. */
static void listen_to(const int peer[2])
{
	char bytes[65536];
	ssize_t got;

	while (recv(peer[PX_CLIENT], bytes, sizeof(bytes), 0) > 0)
		;
	while (seen.n < sizeof(seen.bytes) && (got = recv(peer[PX_SERVER], seen.bytes + seen.n,
							  sizeof(seen.bytes) - seen.n, 0)) > 0)
		seen.n += (size_t)got;
	if (seen.http1)
		check_sent_http1();
	else
		check_sent();
}

/* false: the connection has ended. */
static bool say(struct px_conn *c, const int peer[2], enum px_side side, const uint8_t *p, size_t n)
{
	/* the kernel takes so much; what is kept of it is the next one's */
	n = n > 60000 ? 60000 : n;
	if (n == 1 && *p == CAN) {
		c->protocol->timeout(c);
		listen_to(peer);
		return worker.count.open;
	}
	if (n == 1 && *p == EOT)
		shutdown(peer[side], SHUT_WR);
	else if (n && send(peer[side], p, n, MSG_NOSIGNAL) != (ssize_t)n)
		return worker.count.open;
	if (side == PX_CLIENT)
		c->protocol->client(c, EV_READ | EV_WRITE);
	else
		c->protocol->server(c, EV_READ | EV_WRITE);
	listen_to(peer);
	return worker.count.open;
}

static void talk(struct px_conn *c, const int peer[2], const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	enum px_side side = PX_CLIENT;

	while (p <= end && worker.count.open) {
		const uint8_t *mark = memmem(p, (size_t)(end - p), "\036\036", 2);
		size_t m = (size_t)((mark ? mark : end) - p);

		if (side == PX_CLIENT || c->server >= 0)
			if (!say(c, peer, side, p, m))
				return;
		side = px_other(side);
		p += m + 2;
		if (!mark)
			break;
	}
}

/* The client's first bytes come with the connection; how many they are. */
static size_t begin(struct px_conn *c, const int peer[2], unsigned how, const uint8_t *p, size_t n)
{
	size_t m = 0;

	if (how & HTTP1) {
		const uint8_t *mark = memmem(p, n, "\036\036", 2);

		m = mark ? (size_t)(mark - p) : n;
		m = m > sizeof(worker.from_client) ? sizeof(worker.from_client) : m;
		memcpy(worker.from_client, p, m);
		c->protocol->begin(c, worker.from_client, m);
		return m;
	}
	memcpy(worker.from_client, PREFACE SETTINGS, sizeof(PREFACE SETTINGS) - 1);
	c->protocol->begin(c, worker.from_client, 24 + (how & BARE ? 0 : 9));
	if (worker.count.open && !(how & BARE) &&
	    send(peer[PX_SERVER], SETTINGS, 9, MSG_NOSIGNAL) != 9)
		die("no SETTINGS");
	return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct px_conn *c;
	size_t said;
	int peer[2];

	if (!n)
		return 0;
	if (!worker.loop) {
		worker.loop = ev_loop_new(EVBACKEND_SELECT);
		worker.limit = (struct px_limits)PX_LIMITS_DEFAULT;
		worker.log = open("/dev/null", O_WRONLY);
		worker.body_max = 100000;
		*pol_vec_push(&worker.policy.gens) = &generation;
	}
	seen.n = seen.at = 0;
	seen.preface = false;
	seen.denied = data[0] & DENIES;
	seen.http1 = data[0] & HTTP1;
	worker.count.tunnels = 0;
	if (nghttp2_hd_inflate_new(&seen.inflater))
		die("no inflater");
	c = connection(peer, data[0]);
	said = begin(c, peer, data[0], data + 1, n - 1);
	listen_to(peer);
	if (worker.count.open)
		talk(c, peer, data + 1 + said, n - 1 - said);
	if (worker.count.open)
		px_conn_free(c, NULL);
	close(peer[0]);
	close(peer[1]);
	nghttp2_hd_inflate_del(seen.inflater);
	if (generation.held != 1)
		die("a generation that is held for nobody");
	return 0;
}
