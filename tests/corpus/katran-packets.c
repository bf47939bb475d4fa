/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packets in and out of another XDP balancer, through ours; see tests/corpus/katran.
 *
 *	katran DEVICE <LINES	set, n, verdict, packet in, packet out (base64), separated by tabs
 *
 * What hangs at XDP of DEVICE runs on each packet (BPF_PROG_TEST_RUN), in order.  Compared are the
 * verdict, what is inside of the tunnel byte by byte, class of traffic and a real as the
 * destination outside; of answers and of what passes the whole frame.  `choices` is what we do
 * otherwise and why; nothing else may differ.  For all of them: which real a connection gets
 * (another hash), who sends the outer packet (our own address, so that reals can list their
 * balancers, or one of `tunnel_source` of the host file, which spreads as their made-up ones do),
 * and the hop limit inside, which goes down by one (RFC 2003, 3.1).
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAX 4096

enum outcome {
	SAME, /* as theirs */
	SENT, /* theirs is sent otherwise: the verdict and what is inside are the same */
	SERVED, /* theirs is dropped, ours sent to a real as it came */
	TOO_BIG, /* ours answers: fragmentation needed, packet too big */
};

static const struct choice {
	const char *set;
	int first, last;
	enum outcome ours;
	const char *why;
} choices[] = {
	{ "base", 12, 12, SERVED, "IPv4 options are no crime; source routes are, and are dropped" },
	{ "base", 19, 20, SENT,
	  "a port of its own is a service of its own: no hash over the port alone" },
	{ "base", 24, 32, SENT,
	  "QUIC is balanced by its connection's addresses and ports, not by ids inside" },
	{ "base", 34, 35, SENT, "QUIC, likewise" },
	{ "base", 33, 33, TOO_BIG, "what does not fit is told its sender, always" },
	{ "icmpTooBig", 1, 2, TOO_BIG,
	  "the MTU that we say is what fits inside; we quote less; the answer's hop limit is its own" },
	{ "lpmSrc", 1, 8, SENT,
	  "IPIP and IP6IP6, no GUE; no choice of real by the client's prefix" },
	{ "tpr", 1, 17, SENT,
	  "no ids of servers in TCP options: the table of connections has them" },
};

struct frame {
	uint8_t b[FRAME_MAX];
	size_t n;
};

static unsigned ncases, nfailed, nsame, ndifferent;
static const char *why_not;

static bool no(const char *why)
{
	why_not = why;
	return false;
}

static bool decode(const char *text, struct frame *f)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	int have = 0;

	f->n = 0;
	for (; *text && *text != '='; text++) {
		const char *d = strchr(digits, *text);

		if (!d || f->n == FRAME_MAX)
			return false;
		bits = bits << 6 | (uint32_t)(d - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			f->b[f->n++] = (uint8_t)(bits >> have);
		}
	}
	return true;
}

/* ---- what a frame is ------------------------------------------------------------------ */

static bool is_v6(const struct frame *f)
{
	return f->b[12] == 0x86 && f->b[13] == 0xdd;
}

/* Where the packet inside of the tunnel begins; 0: it is no tunnel.  GUE of theirs too. */
static size_t inside(const struct frame *f)
{
	size_t l4 = is_v6(f) ? 54 : 34;
	uint8_t proto = f->n > l4 ? f->b[is_v6(f) ? 20 : 23] : 0;

	return proto == IPPROTO_IPIP || proto == IPPROTO_IPV6 ? l4
	       : proto == IPPROTO_UDP                         ? l4 + 8
							      : 0;
}

static uint8_t class_of(const struct frame *f)
{
	return is_v6(f) ? (uint8_t)(f->b[14] << 4 | f->b[15] >> 4) : f->b[15];
}

static bool to_a_real(const struct frame *f)
{
	static const uint8_t v4[3] = { 10, 0, 0 }, v6[15] = { 0xfc };
	const uint8_t *last = f->b + (is_v6(f) ? 53 : 33);

	return !memcmp(f->b + (is_v6(f) ? 38 : 30), is_v6(f) ? v6 : v4, is_v6(f) ? 15 : 3) &&
	       *last >= 1 && *last <= 3;
}

static uint16_t sum16(const uint8_t *b, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* One hop more, as routers write it. */
static void hop(uint8_t *ip)
{
	uint16_t sum;

	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	ip[10] = ip[11] = 0;
	sum = (uint16_t)~sum16(ip, (size_t)(ip[0] & 15) * 4, 0);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

/* ---- comparing ------------------------------------------------------------------------- */

/* Sent to a real, with this packet inside, as far as it goes. */
static bool carries(const struct frame *out, const uint8_t *packet, size_t n)
{
	uint8_t want[FRAME_MAX];
	size_t at = inside(out);

	memcpy(want, packet, n);
	hop(want);
	if (!at || !to_a_real(out))
		return no("it does not go to a real in a tunnel");
	if (out->n != at + n || memcmp(out->b + at, want, n))
		return no("something else is inside");
	return true;
}

/* An ICMP error to the sender of `in`, in the VIP's name, that quotes it. */
static bool says_too_big(const struct frame *in, const struct frame *out)
{
	bool v6 = is_v6(in);
	size_t len = v6 ? 16 : 4, src = v6 ? 22 : 26, icmp = v6 ? 54 : 34;
	const uint8_t *b = out->b + icmp;
	uint32_t sum = v6 ? sum16(out->b + 22, 32, (uint32_t)(out->n - icmp) + IPPROTO_ICMPV6) : 0;

	if (is_v6(out) != v6 || out->n < icmp + 8 + 28 || out->n > in->n)
		return no("the answer has another size or family");
	if (memcmp(out->b, in->b + 6, 6) || memcmp(out->b + 6, in->b, 6) ||
	    memcmp(out->b + src, in->b + src + len, len) ||
	    memcmp(out->b + src + len, in->b + src, len))
		return no("the answer does not go back");
	if (v6 ? b[0] != 2 || b[1] : b[0] != 3 || b[1] != 4)
		return no("the answer is another");
	if (sum16(b, out->n - icmp, sum) != 0xffff)
		return no("the answer's checksum");
	/* 1500, less the outer header: the reals of these are IPv4, or IPv6 for IPv6 */
	if ((b[6] << 8 | b[7]) != (v6 ? 1460 : 1480) ||
	    memcmp(b + 8, in->b + 14, out->n - icmp - 8))
		return no("the answer says something else");
	return true;
}

static bool as_theirs(const struct frame *in, const struct frame *theirs, const struct frame *ours,
		      bool sent)
{
	size_t at = inside(theirs);

	/* a tunnel that came stays one; what was wrapped is compared by what is inside */
	if (sent && at && theirs->n != in->n)
		return class_of(theirs) != class_of(ours)
			       ? no("another class of traffic")
			       : carries(ours, theirs->b + at, theirs->n - at);
	return (theirs->n == ours->n && !memcmp(theirs->b, ours->b, ours->n)) ||
	       no("another frame");
}

static bool compare(const struct choice *c, const char *verdict, const struct frame *in,
		    const struct frame *theirs, const struct frame *ours, uint32_t got)
{
	uint32_t want = !strcmp(verdict, "XDP_TX")     ? XDP_TX
			: !strcmp(verdict, "XDP_DROP") ? XDP_DROP
						       : XDP_PASS;
	size_t at = inside(theirs);

	if (c && (c->ours == SERVED || c->ours == TOO_BIG))
		want = XDP_TX;
	if (got != want)
		return no("another verdict");
	switch (c ? c->ours : SAME) {
	case SAME:
		return as_theirs(in, theirs, ours, want == XDP_TX);
	case SENT:
		return at ? carries(ours, theirs->b + at, theirs->n - at)
			  : no("theirs is no tunnel");
	case SERVED:
		return carries(ours, in->b + 14, in->n - 14);
	case TOO_BIG:
		return says_too_big(in, ours);
	}
	return false;
}

static const struct choice *choice_of(const char *set, int n)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (!strcmp(choices[i].set, set) && n >= choices[i].first && n <= choices[i].last)
			return &choices[i];
	return NULL;
}

/* ---- running ------------------------------------------------------------------------------ */

static int program, device;

static bool run(const struct frame *in, struct frame *out, uint32_t *verdict)
{
	struct xdp_md ctx = { .data_end = (uint32_t)in->n, .ingress_ifindex = (uint32_t)device };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = in->b, .data_size_in = (uint32_t)in->n,
		    .data_out = out->b, .data_size_out = FRAME_MAX, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	if (bpf_prog_test_run_opts(program, &o))
		return false;
	out->n = o.data_size_out;
	*verdict = o.retval;
	return true;
}

static void one(char *line)
{
	char *set = strtok(line, "\t"), *n = strtok(NULL, "\t"), *verdict = strtok(NULL, "\t");
	char *text_in = strtok(NULL, "\t"), *text_out = strtok(NULL, "\t\n");
	static struct frame in, theirs, ours;
	const struct choice *c;
	uint32_t got = 0;
	bool ok;

	if (!text_out || !decode(text_in, &in) || !decode(text_out, &theirs)) {
		printf("Bail out! a line that cannot be read\n");
		exit(1);
	}
	c = choice_of(set, atoi(n));
	ok = run(&in, &ours, &got) ? compare(c, verdict, &in, &theirs, &ours, got)
				   : no("it does not run");
	printf("%sok %u - %s %s: %s%s\n", ok ? "" : "not ", ++ncases, set, n,
	       c ? "other: " : "same", c ? c->why : "");
	if (!ok) {
		nfailed++;
		printf("# %s (%s, ours %u)\n# ours:", why_not, verdict, got);
		for (size_t i = 0; i < ours.n; i++)
			printf(" %02x", ours.b[i]);
		putchar('\n');
	}
	if (c)
		ndifferent++;
	else
		nsame++;
}

int main(int argc, char **argv)
{
	static char line[4 * FRAME_MAX];
	uint32_t id = 0;

	device = argc == 2 ? (int)if_nametoindex(argv[1]) : 0;
	if (!device || bpf_xdp_query_id(device, 0, &id) || !id ||
	    (program = bpf_prog_get_fd_by_id(id)) < 0) {
		fputs("usage: katran DEVICE <LINES, with a program at XDP of DEVICE\n", stderr);
		return 2;
	}
	while (fgets(line, sizeof(line), stdin))
		one(line);
	printf("# %u packets: %u the same, %u different by choice\n1..%u\n", ncases, nsame,
	       ndifferent, ncases);
	return ncases == 0 || nfailed != 0;
}
