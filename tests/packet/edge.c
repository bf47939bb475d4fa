// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet cases through what polload has put in force: for services, whose tables only a loader fills.
 *
 *	edge CASES.pkt...	POLC_BPFFS says where the pins are; as root
 *
 * Each packet goes through a stub of the hooks (BPF_PROG_TEST_RUN), and so through the generation
 * in force. A case file (cases.h) has
 *
 *	xdp|in|out DEVICE: PACKET => OUTCOME	XDP and TC ingress of an uplink, TC egress of one
 *	sources N DEVICE: PACKET		sent 64 times through XDP, @ standing for 1, 2, 3...: each goes into a
 *						tunnel, and these are from N IPv4 addresses or more
 *	run COMMAND				must succeed
 *
 * PACKET is in the words of packet.h. OUTCOME: drop REASON; or pass, tx, redirect, alone if the
 * packet is as it was, or with a colon and the PACKET that it became, each byte of it but the flow
 * label of a tunnel, which is a secret's.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <polc/abi.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "packet.h"

#define CPUS 4096

static const char *const reason_names[] = {
#define NAME(e, n, t) n,
	POL_REASONS(NAME)
#undef NAME
};

static const struct hook {
	const char *name, *pin;
	bool xdp;
} hooks[] = {
	{ "xdp", "stub_xdp", true },
	{ "in", "stub_uplink_in", false },
	{ "out", "stub_uplink_out", false },
};

static struct cases cases;
static unsigned ncases, nfailed;

static int fail(const char *what, const char *detail)
{
	printf("# %s:%d: %s%s%s\n", cases.file, cases.line, what, *detail ? ": " : "", detail);
	return -1;
}

static int pin(const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", getenv("POLC_BPFFS") ?: "/sys/fs/bpf/polc", name);
	return bpf_obj_get(path);
}

static void read_drops(uint64_t *of)
{
	static struct pol_count c[CPUS];
	static int fd = -1, cpus;

	if (fd < 0) {
		fd = pin(POL_MAP_DROPS);
		cpus = libbpf_num_possible_cpus();
	}
	for (uint32_t r = 0; r < POL_REASON_MAX; r++) {
		of[r] = 0;
		if (!bpf_map_lookup_elem(fd, &r, c))
			for (int i = 0; i < cpus; i++)
				of[r] += c[i].packets;
	}
}

static const char *verdict_name(const struct hook *h, uint32_t v)
{
	if (h->xdp)
		return v == XDP_PASS       ? "pass"
		       : v == XDP_DROP     ? "drop"
		       : v == XDP_TX       ? "tx"
		       : v == XDP_REDIRECT ? "redirect"
					   : "aborted";
	return v == TC_ACT_OK         ? "pass"
	       : v == TC_ACT_SHOT     ? "drop"
	       : v == TC_ACT_REDIRECT ? "redirect"
				      : "?";
}

static int shoot(const struct hook *h, const char *device, const struct packet *in,
		 struct packet *out, uint32_t *verdict)
{
	struct xdp_md xdp = { .data_end = (uint32_t)in->len,
			      .ingress_ifindex = if_nametoindex(device) };
	struct __sk_buff skb = { .ifindex = xdp.ingress_ifindex,
				 .ingress_ifindex = xdp.ingress_ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = in->data, .data_size_in = (uint32_t)in->len,
		    .data_out = out->data, .data_size_out = sizeof(out->data),
		    .ctx_in = h->xdp ? (void *)&xdp : (void *)&skb,
		    .ctx_size_in = h->xdp ? sizeof(xdp) : sizeof(skb));
	int fd = pin(h->pin), r = fd < 0 ? fd : bpf_prog_test_run_opts(fd, &o);

	out->len = o.data_size_out;
	*verdict = o.retval;
	return r ? fail("it does not run", strerror(errno)) : 0;
}

static void show(const char *what, const struct packet *p)
{
	printf("# %s", what);
	for (size_t i = 0; i < p->len; i++)
		printf("%s%02x", i % 4 ? "" : " ", p->data[i]);
	printf("\n");
}

/* Of an IPv6 tunnel's outer header: the flow label, if there is one, for which there has to be. */
static void forget_label(struct packet *p)
{
	uint8_t *ip = p->data + 14;

	if (p->len < 54 || p->data[12] != 0x86 || (ip[6] != 4 && ip[6] != 41))
		return;
	ip[1] &= 0xf0;
	ip[2] = ip[3] = 0;
}

static int same(struct packet *want, struct packet *got)
{
	forget_label(want);
	forget_label(got);
	if (want->len == got->len && !memcmp(want->data, got->data, want->len))
		return 0;
	show("want", want);
	show("got ", got);
	return fail("the packet differs", "");
}

static int build(const char *text, struct packet *p)
{
	static const struct packet_hint none;
	char err[128];

	return packet_build(text, &none, p, err) ? fail(err, "") : 0;
}

static int dropped(const char *reason, const uint64_t *before)
{
	uint64_t after[POL_REASON_MAX];

	read_drops(after);
	for (int r = 0; r < POL_REASON_MAX; r++)
		if (after[r] != before[r] && strcmp(reason_names[r], reason))
			return fail("dropped as", reason_names[r]);
		else if (after[r] == before[r] && !strcmp(reason_names[r], reason))
			return fail("not counted as", reason);
	return 0;
}

/* Into DEVICE and the rest. */
static char *device_of(char *text, char **rest)
{
	*rest = strstr(text, ": ");
	if (!*rest)
		return NULL;
	**rest = '\0';
	*rest += 2;
	return text + strspn(text, " \t");
}

static int shot(const struct hook *h, char *text)
{
	char *rest, *arrow = strstr(text, "=>"), *device = device_of(text, &rest), *became;
	uint64_t before[POL_REASON_MAX];
	struct packet in, out, want;
	uint32_t verdict;

	if (!device || !arrow)
		return fail("want HOOK DEVICE: PACKET => OUTCOME", "");
	*arrow = '\0';
	arrow += 2 + strspn(arrow + 2, " \t");
	read_drops(before);
	if (build(rest, &in) || shoot(h, device, &in, &out, &verdict))
		return -1;
	became = strstr(arrow, ": ");
	if (became)
		*became = '\0';
	if (strncmp(arrow, verdict_name(h, verdict), strcspn(arrow, " ")))
		return fail("verdict", verdict_name(h, verdict));
	if (!strncmp(arrow, "drop ", 5))
		return dropped(arrow + 5, before);
	if (!became)
		return same(&in, &out);
	return build(became + 2, &want) ? -1 : same(&want, &out);
}

static int sources(char *text)
{
	uint8_t seen[64][4];
	unsigned want = (unsigned)strtoul(text, &text, 0), n = 0;
	char *rest, *device = device_of(text, &rest), copy[CASE_LINE],
		    *at = rest ? strchr(rest, '@') : NULL;
	struct packet in, out;
	uint32_t verdict;

	if (!device || !at)
		return fail("want sources N DEVICE: PACKET with @", "");
	for (unsigned i = 1; i <= 64; i++) {
		unsigned k = 0;

		snprintf(copy, sizeof(copy), "%.*s%u%s", (int)(at - rest), rest, i, at + 1);
		if (build(copy, &in) || shoot(&hooks[0], device, &in, &out, &verdict))
			return -1;
		if (verdict != XDP_TX || out.len != in.len + 20 || out.data[23] != 4)
			return fail("no tunnel", copy);
		while (k < n && memcmp(seen[k], out.data + 26, 4))
			k++;
		memcpy(seen[k], out.data + 26, 4);
		n += k == n;
	}
	snprintf(copy, sizeof(copy), "%u, not %u", n, want);
	return n < want ? fail("sources", copy) : 0;
}

static int one(void *arg, char *line)
{
	int r = 1;

	(void)arg;
	ncases++;
	if (!strncmp(line, "run ", 4))
		r = system(line + 4) ? fail("failed", line + 4) : 0;
	else if (!strncmp(line, "sources ", 8))
		r = sources(line + 8);
	for (size_t i = 0; r > 0 && i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		size_t n = strlen(hooks[i].name);

		if (!strncmp(line, hooks[i].name, n) && line[n] == ' ')
			r = shot(&hooks[i], line + n);
	}
	if (r > 0)
		fail("what is this?", line);
	nfailed += r != 0;
	printf("%sok %u - %s:%d\n", r ? "not " : "", ncases, strrchr(cases.file, '/') ?: cases.file,
	       cases.line);
	return r;
}

int main(int argc, char **argv)
{
	int bad = argc < 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		bad |= cases_read(&cases, argv[i], one, NULL) < 0;
	printf("1..%u\n", ncases);
	return bad || nfailed || !ncases;
}
