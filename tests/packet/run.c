// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs packet cases (NAME.pkt) through the data path by BPF_PROG_TEST_RUN.
 *
 *	clang -O2 -g -mcpu=v3 -target bpf -Wall -Wextra -Werror -Iinclude -Ibpf-templates \
 *		-I/usr/include/$(gcc -print-multiarch) \
 *		-c tests/packet/fixture.bpf.c -o fixture.bpf.o
 *	gcc -std=gnu11 -O2 -Wall -Wextra -Iinclude tests/packet/{run,cases,world,packet}.c -lbpf -o run
 *	./run fixture.bpf.o tests/packet/CASES.pkt...
 *
 * A case file (cases.h); every file begins with empty state:
 *
 *	reset				forget all state
 *	gen 1|2				the generation in force
 *	state EP egress=ROW ingress=ROW [incarnation=N] [audit]
 *					of this generation, see fixture.h
 *	age SECONDS			the connection table gets older
 *	out|in|up|lo PLACE [OPTIONS]: PACKET => EXPECTED
 *	repeat N out ...		N times, @ standing for 1, 2, 3...
 *	answer: PACKET			what the last one was turned into
 *	some REASON			one or more were dropped so since the last reset
 *
 * PACKET is in the words of
 * packet.h.  OPTIONS: iif=PLACE (it was forwarded from there), mark=N, for=PLACE (it was judged for
 * the endpoint there), gso=SEGMENTS,
 * truncate=each (every shorter length of it, each by itself, must have the outcome).
 * EXPECTED: pass | any | drop REASON[|REASON...] | answer | lo (sent out there), then any of mark=N,
 * rules=EGRESS/INGRESS (- for none), state (passed by a live flow), policy (not by a
 * live flow), for=PLACE (it was judged for the endpoint there), event=KIND[,KIND] or event=none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "fixture.h"
#include "world.h"

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2
#define TC_ACT_REDIRECT 7

static const char *const reason_names[] = {
#define NAME(e, n, t) n,
	POL_REASONS(NAME)
#undef NAME
};

struct run {
	struct world world;
	struct cases cases;
	struct packet last_out;
	unsigned long long dropped[POL_REASON_MAX];
	unsigned passed, failed, undeliverable;
};

static int fail(struct run *r, const char *what, const char *detail)
{
	printf("not ok - %s:%d: %s%s%s\n", r->cases.file, r->cases.line, what, detail ? ": " : "",
	       detail ? detail : "");
	return -1;
}

static const char *verdict_name(int v)
{
	return v == TC_ACT_OK         ? "pass"
	       : v == TC_ACT_SHOT     ? "drop"
	       : v == TC_ACT_REDIRECT ? "answer"
				      : "?";
}

static int one_of(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; list; list = strchr(list, '|') ? strchr(list, '|') + 1 : NULL)
		if (!strncmp(list, name, n) && (!list[n] || list[n] == '|'))
			return 1;
	return 0;
}

static int check_rules(const struct pol_scratch *s, const char *want, char *why)
{
	char got[32], e[12], i[12];

	snprintf(e, sizeof(e), "%d", (int)s->rule[POL_EGRESS]);
	snprintf(i, sizeof(i), "%d", (int)s->rule[POL_INGRESS]);
	snprintf(got, sizeof(got), "%s/%s", s->rule[POL_EGRESS] == POL_NO_RULE ? "-" : e,
		 s->rule[POL_INGRESS] == POL_NO_RULE ? "-" : i);
	if (!strcmp(got, want))
		return 0;
	snprintf(why, 256, "rules %s, not %s", got, want);
	return -1;
}

static int check_events(const struct world *w, const char *want, char *why)
{
	static const char *const names[] = { "", "new", "drop", "audit", "log" };
	char got[64] = "";

	for (int k = 1; k < POL_EVENT_KINDS; k++)
		for (unsigned n = 0; n < w->events[k]; n++) {
			strcat(got, *got ? "," : "");
			strcat(got, names[k]);
		}
	if (!strcmp(*got ? got : "none", want))
		return 0;
	snprintf(why, 256, "events %s, not %s", *got ? got : "none", want);
	return -1;
}

static unsigned place_endpoint(const char *name)
{
	const struct place *p = world_place(name);

	return p ? p->ep : 0;
}

static int check_word(struct run *r, const struct shot *s, const char *word, char *why)
{
	if (!strncmp(word, "mark=", 5)) {
		if (s->mark_out == strtoul(word + 5, NULL, 0))
			return 0;
		snprintf(why, 256, "mark 0x%x", s->mark_out);
		return -1;
	}
	if (!strncmp(word, "for=", 4)) {
		if (s->judged_for && s->judged_for == place_endpoint(word + 4))
			return 0;
		snprintf(why, 256, "judged for endpoint %u", s->judged_for);
		return -1;
	}
	if (!strncmp(word, "rules=", 6))
		return check_rules(&s->scratch, word + 6, why);
	if (!strncmp(word, "event=", 6))
		return check_events(&r->world, word + 6, why);
	if (!strcmp(word, "state") || !strcmp(word, "policy")) {
		if (s->scratch.from_state == !strcmp(word, "state"))
			return 0;
		snprintf(why, 256, "from_state %u", s->scratch.from_state);
		return -1;
	}
	snprintf(why, 256, "`%s`: no such expectation", word);
	return -1;
}

/* A drop is counted once, under its reason, and is the last packet's reason. */
static int check_drop(const struct shot *s, const char *reasons, char *why)
{
	unsigned long long n = 0;
	unsigned reason = s->scratch.reason;

	for (int i = 0; i < POL_REASON_MAX; i++)
		n += s->dropped[i];
	if (!reasons) {
		if (n)
			snprintf(why, 256, "passed and counted as dropped");
		return n ? -1 : 0;
	}
	if (reason >= POL_REASON_MAX || !one_of(reasons, reason_names[reason])) {
		snprintf(why, 256, "reason %s, not %s",
			 reason < POL_REASON_MAX ? reason_names[reason] : "(none written)",
			 reasons);
		return -1;
	}
	if (s->dropped[reason] == (s->gso_segs ? s->gso_segs : 1) && n == s->dropped[reason])
		return 0;
	snprintf(why, 256, "counted %llu times", n);
	return -1;
}

static int check(struct run *r, const struct shot *s, const char *expected, char *why)
{
	char text[512], *save = NULL, *word, *reasons = NULL;
	int err;

	snprintf(text, sizeof(text), "%s", expected);
	word = strtok_r(text, " \t", &save);
	if (word && !strcmp(word, "any"))
		return 0;
	if (!word || strcmp(!strcmp(word, "lo") ? "answer" : word, verdict_name(s->verdict))) {
		snprintf(why, 256, "%s (reason %s), not %s", verdict_name(s->verdict),
			 s->scratch.reason < POL_REASON_MAX ? reason_names[s->scratch.reason] : "-",
			 word ? word : "nothing");
		return -1;
	}
	if (!strcmp(word, "drop"))
		reasons = strtok_r(NULL, " \t", &save);
	else if (!strcmp(word, "answer"))
		reasons = "reject";
	err = check_drop(s, reasons, why);
	while (!err && (word = strtok_r(NULL, " \t", &save)))
		err = check_word(r, s, word, why);
	return err;
}

static int fire(struct run *r, struct shot *s, const char *expected)
{
	char why[256] = "", detail[320];
	int err = world_shoot(&r->world, s);

	if (err == -EINVAL && s->in.len < 14) {
		r->undeliverable++;
		return 0;
	}
	if (err)
		return fail(r, "the kernel refused the frame", strerror(-err));
	for (int i = 0; i < POL_REASON_MAX; i++)
		r->dropped[i] += s->dropped[i];
	if (check(r, s, expected, why)) {
		snprintf(detail, sizeof(detail), "%s (length %zu)", why, s->in.len);
		r->failed++;
		return fail(r, expected, detail);
	}
	r->passed++;
	return 0;
}

static unsigned place_index(const char *name)
{
	const struct place *p = world_place(name);

	return p ? p->ifindex : 0;
}

/* `HOOK PLACE OPTIONS` -> the shot; returns whether truncate=each. */
static int aim(struct run *r, char *head, struct shot *s, struct packet_hint *hint, int *each)
{
	static const unsigned char gateway[6] = { 2, 0, 0, 0, 0, 0xfe };
	char *save = NULL, *hook = strtok_r(head, " \t", &save);
	char *where = strtok_r(NULL, " \t", &save), *word;
	const struct place *p = where ? world_place(where) : NULL;

	if (!p)
		return fail(r, "no such place", where);
	s->hook = !strcmp(hook, "in")   ? POL_HOOK_EP_IN
		  : !strcmp(hook, "up") ? POL_HOOK_UPLINK_IN
		  : !strcmp(hook, "lo") ? POL_HOOK_LO_IN
					: POL_HOOK_EP_OUT;
	s->ifindex = p->ifindex;
	/* what comes in by a device has it as its ingress device */
	s->iif = s->hook == POL_HOOK_EP_IN ? 0 : p->ifindex;
	memcpy(s->hook == POL_HOOK_EP_IN ? hint->dst : hint->src, p->mac, 6);
	memcpy(s->hook == POL_HOOK_EP_IN ? hint->src : hint->dst, gateway, 6);
	while ((word = strtok_r(NULL, " \t", &save))) {
		if (!strncmp(word, "iif=", 4))
			s->iif = place_index(word + 4);
		else if (!strncmp(word, "mark=", 5))
			s->mark = strtoul(word + 5, NULL, 0);
		else if (!strncmp(word, "for=", 4))
			s->judged_for = place_endpoint(word + 4);
		else if (!strncmp(word, "gso=", 4))
			s->gso_segs = strtoul(word + 4, NULL, 0), s->gso_size = 1000;
		else if (!strcmp(word, "truncate=each"))
			*each = 1;
		else
			return fail(r, "no such option", word);
	}
	return 0;
}

static int do_shot(struct run *r, char *line)
{
	char *colon = strstr(line, ": "), *arrow = strstr(line, "=>"), err[128];
	struct shot s = {};
	struct packet_hint hint;
	int each = 0, failed = 0;
	size_t full;

	if (!colon || !arrow || arrow < colon)
		return fail(r, "want HOOK PLACE: PACKET => EXPECTED", NULL);
	*colon = *arrow = '\0';
	if (aim(r, line, &s, &hint, &each))
		return -1;
	if (packet_build(colon + 2, &hint, &s.in, err))
		return fail(r, err, NULL);
	if (!each) {
		failed = fire(r, &s, arrow + 2);
		r->last_out = s.out;
		return failed;
	}
	full = s.in.len;
	for (s.in.len = 0; s.in.len < full && !failed; s.in.len++) {
		struct shot cut = s;

		failed = fire(r, &cut, arrow + 2);
	}
	return failed;
}

static int do_answer(struct run *r, const char *text)
{
	struct packet_hint hint = {};
	struct packet want;
	char err[128];

	if (packet_build(text, &hint, &want, err))
		return fail(r, err, NULL);
	if (want.len == r->last_out.len && !memcmp(want.data, r->last_out.data, want.len)) {
		r->passed++;
		return 0;
	}
	r->failed++;
	printf("# want");
	for (size_t i = 0; i < want.len; i++)
		printf("%s%02x", i % 4 ? "" : " ", want.data[i]);
	printf("\n# got ");
	for (size_t i = 0; i < r->last_out.len; i++)
		printf("%s%02x", i % 4 ? "" : " ", r->last_out.data[i]);
	printf("\n");
	return fail(r, "the answer differs", NULL);
}

static int do_state(struct run *r, char *text)
{
	struct pol_ep_state st = {};
	char *save = NULL, *name = strtok_r(text, " \t", &save), *word;
	const struct place *p = name ? world_place(name) : NULL;

	if (!p || !p->ep)
		return fail(r, "no such endpoint", name);
	while ((word = strtok_r(NULL, " \t", &save))) {
		if (!strncmp(word, "egress=", 7))
			st.root[POL_EGRESS] = strtoul(word + 7, NULL, 0);
		else if (!strncmp(word, "ingress=", 8))
			st.root[POL_INGRESS] = strtoul(word + 8, NULL, 0);
		else if (!strncmp(word, "incarnation=", 12))
			st.incarnation = strtoul(word + 12, NULL, 0);
		else if (!strcmp(word, "audit"))
			st.flags = POL_EP_AUDIT;
	}
	return world_state(&r->world, p->ep, &st) ? fail(r, "cannot set state", name) : 0;
}

static int do_line(void *arg, char *line)
{
	struct run *r = arg;
	unsigned times = 1;
	char *at = line;
	int failed = 0, used = 0;

	if (!strcmp(at, "reset"))
		return memset(r->dropped, 0, sizeof(r->dropped)), world_reset(&r->world), 0;
	if (!strncmp(at, "some ", 5)) {
		for (int i = 0; i < POL_REASON_MAX; i++)
			if (!strcmp(reason_names[i], at + 5) && r->dropped[i])
				return r->passed++, 0;
		return r->failed++, fail(r, "none was dropped", at + 5);
	}
	if (!strncmp(at, "gen ", 4))
		return r->world.gen = strtoul(at + 4, NULL, 0) == 2, 0;
	if (!strncmp(at, "state ", 6))
		return do_state(r, at + 6);
	if (!strncmp(at, "age ", 4))
		return world_age(&r->world, strtoul(at + 4, NULL, 0)), 0;
	if (!strncmp(at, "answer: ", 8))
		return do_answer(r, at + 8);
	if (sscanf(at, "repeat %u %n", &times, &used) == 1)
		at += used;
	for (unsigned i = 0; i < times && !failed; i++) {
		char copy[CASE_LINE], *mark, *to = copy;

		for (; (mark = strchr(at, '@')) && to - copy < 4000; at = mark + 1)
			to += sprintf(to, "%.*s%u", (int)(mark - at), at, i + 1);
		snprintf(to, sizeof(copy) - (to - copy), "%s", at);
		at = line + used;
		failed = do_shot(r, copy);
	}
	return failed;
}

static int do_file(struct run *r, const char *path)
{
	int bad;

	world_reset(&r->world);
	bad = cases_read(&r->cases, path, do_line, r);
	printf("%s - %s\n", bad ? "not ok" : "ok", path);
	return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
	static struct run r;
	int bad = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: %s OBJECT CASES.pkt...\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (world_open(&r.world, argv[1])) {
		const char *strict = getenv("POLC_NO_SKIP");

		printf("0 passed, %d failed, %d skipped\n", strict && *strict == '1' ? argc - 2 : 0,
		       strict && *strict == '1' ? 0 : argc - 2);
		return strict && *strict == '1' ? 1 : 77;
	}
	for (int i = 2; i < argc; i++)
		bad |= do_file(&r, argv[i]);
	printf("# %u frames without a whole Ethernet header: nothing delivers them\n",
	       r.undeliverable);
	printf("%u passed, %u failed, 0 skipped\n", r.passed, r.failed);
	return bad ? 1 : 0;
}
