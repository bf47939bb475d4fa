/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One connection of a client, and the one onward connection that it has: whose it is, what the
 * policy knows of it, its sockets, its timer, its end.  What is said over both is a protocol's, which
 * the client's first bytes choose.
 */
#ifndef POLC_PROXY_CONN_H
#define POLC_PROXY_CONN_H

#include <ev.h>
#include <sys/socket.h>
#include <time.h>

#include "proxy/buffer.h"
#include "proxy/http1.h"
#include "proxy/policy.h"
#include "proxy/tap.h"

struct px_counters {
	uint64_t connections, requests, allowed, denied, refused, failed, tunnels;
	uint64_t open;			/* connections now */
	uint64_t log_lost;		/* lines that could not be written */
	uint64_t turned_away;		/* connections of clients that had too many */
};

struct px_limits {			/* seconds */
	double head;			/* from the first byte of a head to its last */
	double body;			/* in which a least amount of a request's body has to come */
	double idle;			/* between requests, and without progress inside of one */
	double connect;
};
#define PX_LIMITS_DEFAULT { .head = 10, .body = 20, .idle = 75, .connect = 5 }

/* Lines of the log on their way (log.h). */
struct px_book {
	struct pol_buf lines;
	bool file, socket;		/* where they go */
	bool torn;			/* a part of the last one is out, and not its end */
	bool cut;			/* of the line that is made a text is not whole */
	time_t second;			/* of what `time` says */
	char time[48];
};

/* How many connections each client has; several share a place, chosen by a key of the process. */
#define PX_PLACES 4096u
struct px_places {
	uint32_t n[PX_PLACES];
	uint64_t key;
	uint32_t most;			/* of one place */
};

struct px_worker {
	struct ev_loop *loop;
	struct px_policy policy;
	uint64_t epoch;			/* of the policy: what was looked up before counts no more */
	struct px_counters count;
	struct px_limits limit;
	uint64_t body_max;		/* bytes of a request's body; 0: as many as it likes */
	bool name_rules;	/* a 403 says which line it is by */
	struct px_conn *first;		/* all connections */
	int log;			/* descriptor; -1: no log */
	struct px_taps taps;		/* who watches */
	struct px_book book;
	struct px_places places;
	bool draining;			/* accept no more; each connection ends after its request */
	/* of the connection at hand, so that none keeps them: */
	struct px_head request, response; /* what a parser found */
	char from_client[PX_BUFFER], from_server[PX_BUFFER]; /* what was just received */
	struct px_pipes pipes;
	char scratch[65536];		/* of HTTP/2: what was just received, or is about to be sent */
};

struct px_conn;

/*
 * Each of these but `free` may end with px_conn_free or px_conn_kill: a caller does not touch the
 * connection again.  The protocol keeps what it needs in c->relay.
 */
struct px_protocol {
	const char *name;		/* for the log */
	/* The client's first n bytes, in w->from_client; the onward connection is not there yet. */
	void (*begin)(struct px_conn *c, const char *p, size_t n);
	void (*client)(struct px_conn *c, int events);	/* EV_READ, EV_WRITE of that socket */
	void (*server)(struct px_conn *c, int events);
	/* It is there, or (false) it is not and c->server is -1. */
	void (*connected)(struct px_conn *c, bool there);
	void (*timeout)(struct px_conn *c);		/* of px_conn_timer */
	void (*drain)(struct px_conn *c);		/* w->draining was set */
	void (*free)(struct px_conn *c, const char *why); /* notes what is under way, frees c->relay */
};
extern const struct px_protocol px_http1, px_http2;

struct px_conn {
	struct px_worker *w;
	struct px_conn *next, **link;
	const struct px_protocol *protocol; /* NULL: not chosen yet */
	void *relay;			/* the protocol's */
	int client, server;		/* server -1: not connected yet */
	bool connecting, placed;
	uint8_t seen;			/* not chosen yet: so many bytes of HTTP/2's preface came */
	ev_io on_client, on_server;
	ev_timer timer;
	double deadline, fires;		/* what the timer stands for; when it goes off, perhaps earlier */
	struct pol_proxy_key key;
	struct pol_proxy_flow flow;	/* how the data path judged it, as of ... */
	uint64_t epoch;			/* ... that of the worker */
	uint32_t place;			/* of its client, in w->places */
	char *who;			/* for the log, else NULL */
};

/*
 * Of each socket, and of the listeners, whose children inherit them: what is written goes out at once,
 * and the kernel takes no more than PX_UNSENT bytes beyond what is on its way, so that one who does
 * not read costs no more memory than that.
 */
#define PX_UNSENT (128 * 1024)
void px_conn_options(int fd);

/* As many connections as `files` descriptors allow, and of one client no more than half of them. */
void px_conn_begin(struct px_worker *w, uint64_t files);
/* Takes the accepted, non-blocking socket over, and whose it is by accept4(2). */
void px_conn_accept(struct px_worker *w, int fd, const struct sockaddr_storage *peer);
/* Idle connections end at once, the others after their request. */
void px_conn_drain(struct px_worker *w);

/* ---- for protocols ------------------------------------------------------------------ */

/* The end, in order; what is under way is noted as failed for `why` (NULL: nothing is). */
void px_conn_free(struct px_conn *c, const char *why);
/* The end by RST on both sides: what they have got is not to be taken for whole. */
void px_conn_kill(struct px_conn *c, const char *why);
/* The end of the onward half alone, by RST. */
void px_conn_drop_server(struct px_conn *c);
/* As px_conn_kill does it, at the end of this descriptor. */
void px_conn_abort(int fd);

/* protocol->timeout is called in so many seconds, unless this is called again before. */
void px_conn_timer(struct px_conn *c, double seconds);
void px_conn_watch(struct px_conn *c, ev_io *io, int fd, bool read, bool write);

/*
 * Connects from the client's address to where the client wanted to go; once for a connection, as the
 * data path's credit is.  false: that cannot even begin; else protocol->connected follows.
 */
bool px_conn_onward(struct px_conn *c);

/* Is a request's body of so many bytes too large? */
static inline bool px_conn_too_large(const struct px_conn *c, uint64_t body)
{
	return c->w->body_max && body > c->w->body_max;
}

/* Judges by the newest policy that the data path has judged the flow by. */
struct px_verdict px_conn_judge(struct px_conn *c, const struct pol_http_request *r);

#endif
