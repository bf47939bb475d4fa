/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `limit`: how many of a run of new flows pass, through BPF_PROG_TEST_RUN.  The rates
 * are so low that no bucket fills up again while the test runs: what counts is the burst.
 *
 * Exit: 0 as said; 1 not; 77 the programs could not be run.
 * Environment: CLANG, POLC_TEMPLATES, POLC_INCLUDE, TMPDIR.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <unistd.h>

#include "build.h"
#include "verify/kernel.h"

static const char policy[] =
	"default deny;\n"
	"pool 10.1.0.0/16, fd00:1::/48;\n"
	"endpoint web = app == \"web\";\n"
	"endpoint job = app == \"job\";\n"
	"policy web {\n"
	"	allow from world on tcp 80 limit 1/h burst 5;\n"
	"	allow from world on tcp 81 limit 1/h burst 3 per source;\n"
	"	allow from world on tcp 82 limit 1/h burst 2 per source /24 /48;\n"
	"	allow from world on tcp 83-84 limit 1/h burst 10;\n"
	"	allow from job on tcp 90 limit 1/h burst 6;\n"
	"	allow from job on tcp 91;\n"
	"	allow from world on udp 53 limit 1/h burst 2;\n"
	"}\n"
	"policy \"more\" on web {\n"
	"	allow from world on tcp 83 limit 1/h burst 2;\n"
	"	allow from world on tcp 80;\n"
	"}\n"
	"policy job {\n"
	"	allow to web on tcp 90 limit 1/h burst 4;\n"
	"	allow to web on tcp 91;\n"
	"}\n";

/* The endpoints: job and two of web live here. */
static const struct {
	const char *app, *v4, *v6;
} endpoints[] = {
	{ "web", "10.1.0.1", "fd00:1::1" },
	{ "web", "10.1.0.2", "fd00:1::2" },
	{ "job", "10.1.0.3", "fd00:1::3" },
};

/* `flows` new flows; `pass` of them get through, the first ones. */
struct step {
	const char *src, *dst;
	uint8_t proto;
	uint16_t port;
	unsigned flows, pass;
	const char *why;
};

static const struct step steps[] = {
	{ "192.0.2.1", "10.1.0.1", 6, 80, 8, 5,
	  "the burst; a plain allow beside it lifts nothing" },
	{ "192.0.2.2", "10.1.0.1", 6, 80, 3, 0, "one bucket for all sources" },
	{ "2001:db8::1", "fd00:1::1", 6, 80, 3, 0, "of both families" },
	{ "192.0.2.1", "10.1.0.2", 6, 80, 8, 5, "each endpoint has its own" },
	{ "192.0.2.1", "10.1.0.1", 6, 81, 5, 3, "per source" },
	{ "192.0.2.2", "10.1.0.1", 6, 81, 5, 3, "another source" },
	{ "2001:db8::1", "fd00:1::1", 6, 81, 5, 3, "a source is a /64 in IPv6" },
	{ "2001:db8::2", "fd00:1::1", 6, 81, 2, 0, "the same /64" },
	{ "2001:db8:0:1::1", "fd00:1::1", 6, 81, 5, 3, "another /64" },
	{ "192.0.2.1", "10.1.0.1", 6, 82, 3, 2, "per /24" },
	{ "192.0.2.200", "10.1.0.1", 6, 82, 3, 0, "the same /24" },
	{ "192.0.3.1", "10.1.0.1", 6, 82, 3, 2, "another /24" },
	{ "2001:db8::1", "fd00:1::1", 6, 82, 3, 2, "per /48" },
	{ "2001:db8:0:9::1", "fd00:1::1", 6, 82, 3, 0, "the same /48" },
	{ "192.0.2.1", "10.1.0.1", 6, 83, 6, 2, "both limits of the flow must hold a token" },
	{ "192.0.2.1", "10.1.0.1", 6, 84, 12, 8, "where one was empty the other was not charged" },
	{ "10.1.0.3", "10.1.0.1", 6, 90, 6, 4,
	  "both directions: the source's bucket is empty first" },
	{ "10.1.0.3", "10.1.0.2", 6, 90, 2, 0, "it belongs to the source, whoever it calls" },
	{ "10.1.0.3", "10.1.0.1", 6, 91, 9, 9, "no limit, no bucket" },
	{ "192.0.2.1", "10.1.0.1", 17, 53, 4, 2, "UDP too" },
};

static unsigned failures, number;

/* Without the right to load programs there is nothing to test; a refused program is a failure. */
static void stop(int code, const struct pol_err *e)
{
	if (code == -EPERM || code == -ENOSYS) {
		printf("SKIP: the programs could not be run: %s\n", e->text);
		exit(77);
	}
	printf("FAILED: %s\n", e->text);
	exit(1);
}

static struct pol_ip ip(const char *text)
{
	struct pol_prefix p;

	if (pol_prefix_parse(pol_str(text), &p) != POL_IP_OK)
		abort();
	return p.addr;
}

static void make_world(struct world *w)
{
	memset(w, 0, sizeof(*w));
	for (size_t i = 0; i < POL_ARRAY_LEN(endpoints); i++) {
		struct world_ep *ep = &w->ep[w->neps++];

		ep->here = true;
		ep->number = (uint32_t)i + 1;
		ep->label[ep->nlabels++] =
			(struct pol_label){ POL_STR("app"), pol_str(endpoints[i].app) };
		ep->addr[ep->naddrs++] = ip(endpoints[i].v4);
		ep->addr[ep->naddrs++] = ip(endpoints[i].v6);
	}
	w->nlocal = w->neps;
}

/* Does a packet of the flow pass?  A drop must be for the limit. */
static bool passes(struct kernel *k, struct generation *g, const struct world *w,
		   const struct flow *f, enum frame_kind kind)
{
	struct pol_err e = { 0 };
	struct seen s;

	if (generation_run(k, g, w, f, kind, false, &s, &e)) {
		printf("FAILED: %s\n", e.text);
		exit(1);
	}
	if (s.result != TC_ACT_SHOT)
		return true;
	if (s.scratch.reason != POL_REASON_LIMIT) {
		printf("FAILED: port %u: dropped for reason %u, not the limit\n", f->value,
		       s.scratch.reason);
		failures++;
	}
	return false;
}

/* Later packets of a flow cost nothing: many more than any burst. */
static void later_packets(struct kernel *k, struct generation *g, const struct world *w,
			  const struct flow *f)
{
	unsigned lost = 0;

	lost += !passes(k, g, w, f, FRAME_ANSWER);
	for (unsigned i = 0; i < 20; i++)
		lost += !passes(k, g, w, f, i & 1 ? FRAME_BACK : FRAME_NEXT);
	if (lost) {
		printf("FAILED: port %u: %u later packets of a live flow were dropped\n", f->value,
		       lost);
		failures++;
	}
}

static void run_step(struct kernel *k, struct generation *g, const struct world *w,
		     const struct step *s, struct flow *last)
{
	unsigned passed = 0, out_of_turn = 0;

	for (unsigned i = 0; i < s->flows; i++) {
		struct flow f = { ip(s->src), ip(s->dst), s->proto, (uint16_t)(2000 + ++number * 8),
				  s->port };

		if (!passes(k, g, w, &f, FRAME_FIRST))
			continue;
		out_of_turn += i != passed;
		passed++;
		*last = f;
		later_packets(k, g, w, &f);
	}
	if (passed == s->pass && !out_of_turn)
		return;
	printf("FAILED: %s > %s port %u: %u of %u flows passed, not the first %u (%s)\n", s->src,
	       s->dst, s->port, passed, s->flows, s->pass, s->why);
	failures++;
}

/* A new generation has full buckets of its own; judging live flows again takes nothing from them. */
static void run_generation(struct kernel *k, const struct build *b, const struct world *w,
			   uint64_t generation, struct flow *last)
{
	struct generation *g;
	struct pol_err e = { 0 };
	struct flow before = *last;
	int r = generation_load(k, b->object, b->place, generation, &g, &e);

	if (!r)
		r = generation_fill(k, g, b->place, w, &e);
	if (r)
		stop(r, &e);
	if (before.proto && !passes(k, g, w, &before, FRAME_NEXT)) {
		printf("FAILED: a live flow was dropped after a change of generation\n");
		failures++;
	}
	for (size_t i = 0; i < POL_ARRAY_LEN(steps); i++)
		run_step(k, g, w, &steps[i], last);
	generation_free(g);
}

static const char *env(const char *name, const char *otherwise)
{
	const char *v = getenv(name);

	return v && *v ? v : otherwise;
}

int main(void)
{
	struct build_paths paths = {
		.clang = env("CLANG", "clang"),
		.templates = env("POLC_TEMPLATES", "bpf-templates"),
		.include = env("POLC_INCLUDE", "include"),
	};
	char dir[256];
	struct build b = { 0 };
	struct world w;
	struct kernel *k;
	struct flow last = { 0 };
	struct pol_buf messages = { 0 };
	struct pol_err e = { 0 };

	snprintf(dir, sizeof(dir), "%s/polc-limits.XXXXXX", env("TMPDIR", "/tmp"));
	paths.scratch_dir = mkdtemp(dir);
	make_world(&w);
	if (!paths.scratch_dir || build_policy(&b, policy, &paths, &messages, &e) ||
	    build_place(&b, &w, &e)) {
		printf("FAILED: %s\n", messages.n ? messages.p : e.text);
		return 1;
	}
	rmdir(dir);
	if (kernel_open(&k, RANDOM_LOCAL, &e))
		stop(-EPERM, &e);
	run_generation(k, &b, &w, 1, &last);
	run_generation(k, &b, &w, 2, &last);
	printf("%zu limits tried twice, %u failures\n", POL_ARRAY_LEN(steps), failures);
	kernel_close(k);
	build_free(&b);
	pol_buf_free(&messages);
	return failures != 0;
}
