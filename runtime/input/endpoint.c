/* SPDX-License-Identifier: GPL-2.0-only */
#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/yaml.h"

/* ---- checks -------------------------------------------------------------- */

POL_PRINTF(2, 3) static const char *wrong(char why[PRT_WHY], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, PRT_WHY, fmt, ap);
	va_end(ap);
	return why;
}

const char *prt_check_name(struct pol_str s, char why[PRT_WHY])
{
	char q[POL_QUOTE];

	if (!s.n)
		return wrong(why, "a name is empty");
	if (s.n > PRT_NAME_MAX)
		return wrong(why, "name `%s` is longer than %u bytes", pol_quote(s, q),
			     PRT_NAME_MAX);
	if (!pol_printable(s) || s.p[0] == ' ' || s.p[s.n - 1] == ' ')
		return wrong(why, "name `%s` has characters that cannot be seen", pol_quote(s, q));
	return NULL;
}

const char *prt_check_interface(struct pol_str s, char why[PRT_WHY])
{
	char q[POL_QUOTE];

	if (!s.n)
		return wrong(why, "an interface's name is empty");
	if (s.n > PRT_IFNAME_MAX)
		return wrong(why,
			     "interface `%s` is longer than the %u bytes that the kernel allows",
			     pol_quote(s, q), PRT_IFNAME_MAX);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '/' || s.p[i] == ':')
			return wrong(why, "`%s` cannot be the name of an interface",
				     pol_quote(s, q));
	if (pol_str_is(s, ".") || pol_str_is(s, ".."))
		return wrong(why, "`%s` cannot be the name of an interface", pol_quote(s, q));
	if (pol_str_is(s, "lo"))
		return wrong(why, "`lo` is the host's own and cannot be managed");
	return NULL;
}

/* Addresses that are never one machine's. */
static const char *not_of_a_machine(struct pol_ip ip)
{
	if (ip.family == 4) {
		uint32_t a = (uint32_t)ip.lo;

		return !a                ? "unspecified"
		       : a >> 24 == 127  ? "a loopback address"
		       : a >> 28 == 0xe  ? "a multicast address"
		       : a == 0xffffffff ? "the broadcast address"
					 : NULL;
	}
	return !ip.hi && !ip.lo       ? "unspecified"
	       : !ip.hi && ip.lo == 1 ? "a loopback address"
	       : ip.hi >> 56 == 0xff  ? "a multicast address"
				      : NULL;
}

const char *prt_check_address(struct pol_str s, struct pol_ip *out, char why[PRT_WHY])
{
	struct pol_prefix prefix;
	enum pol_ip_error e;
	const char *kind;
	char q[POL_QUOTE];

	if (s.n && memchr(s.p, '/', s.n))
		return wrong(why, "`%s` is a prefix; an address is needed here", pol_quote(s, q));
	e = pol_prefix_parse(s, &prefix);
	if (e != POL_IP_OK)
		return wrong(why, "address `%s`: %s", pol_quote(s, q), pol_ip_error_text(e));
	kind = not_of_a_machine(prefix.addr);
	if (kind)
		return wrong(why, "address `%s` is %s", pol_quote(s, q), kind);
	*out = prefix.addr;
	return NULL;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool prt_same_addresses(const struct pol_addr *a, size_t na, const struct pol_ip *b, size_t nb)
{
	size_t same = 0;

	for (size_t i = 0; i < nb; i++) {
		struct pol_addr addr = prt_addr_of_ip(b[i]);

		for (size_t k = 0; k < na; k++)
			same += !memcmp(&a[k], &addr, sizeof(addr));
	}
	return na == nb && same == na;
}

const char *prt_check_mac(struct pol_str s, uint8_t out[6], char why[PRT_WHY])
{
	static const uint8_t zero[6];
	uint8_t mac[6];
	char q[POL_QUOTE];
	bool ok = s.n == 17;

	for (size_t i = 0; ok && i < 6; i++) {
		int hi = hex(s.p[3 * i]), lo = hex(s.p[3 * i + 1]);

		ok = hi >= 0 && lo >= 0 && (i == 5 || s.p[3 * i + 2] == ':');
		mac[i] = (uint8_t)(ok ? hi << 4 | lo : 0);
	}
	if (!ok)
		return wrong(why, "MAC `%s` is not of the form 02:00:00:00:00:01", pol_quote(s, q));
	if (mac[0] & 1 || memcmp(mac, zero, 6) == 0)
		return wrong(why, "MAC `%s` is not the address of one machine", pol_quote(s, q));
	memcpy(out, mac, 6);
	return NULL;
}

const char *prt_check_label(struct pol_str key, struct pol_str value, char why[PRT_WHY])
{
	char q[POL_QUOTE];

	if (!key.n)
		return wrong(why, "a label's key is empty");
	if (key.n > PRT_LABEL_KEY_MAX)
		return wrong(why, "label `%s` is longer than %u bytes", pol_quote(key, q),
			     PRT_LABEL_KEY_MAX);
	if (!pol_printable(key))
		return wrong(why, "label `%s` has characters that cannot be seen",
			     pol_quote(key, q));
	if (value.n > PRT_LABEL_VALUE_MAX)
		return wrong(why, "the value of label `%s` is longer than %u bytes",
			     pol_quote(key, q), PRT_LABEL_VALUE_MAX);
	if (!pol_printable(value))
		return wrong(why, "the value of label `%s` has characters that cannot be seen",
			     pol_quote(key, q));
	return NULL;
}

static int by_key(const void *a, const void *b)
{
	return pol_str_cmp(((const struct prt_label *)a)->key, ((const struct prt_label *)b)->key);
}

const char *prt_check_labels(struct prt_label *labels, size_t n, char why[PRT_WHY])
{
	size_t bytes = 1;
	char q[POL_QUOTE];

	if (n)
		qsort(labels, n, sizeof(*labels), by_key);
	for (size_t i = 0; i < n; i++) {
		bytes += labels[i].key.n + labels[i].value.n + 2;
		if (i && pol_str_eq(labels[i - 1].key, labels[i].key))
			return wrong(why, "label `%s` is given twice", pol_quote(labels[i].key, q));
	}
	if (bytes > POL_EP_LABELS)
		return wrong(why, "the labels take %zu bytes together; there is room for %u", bytes,
			     POL_EP_LABELS);
	return NULL;
}

/* ---- a command line ------------------------------------------------------ */

typedef POL_VEC(struct prt_label) label_vec;
typedef POL_VEC(struct pol_ip) ip_vec;

static const char *add_address(ip_vec *ips, struct pol_str s, char why[PRT_WHY])
{
	struct pol_ip ip = { 0 };
	const char *w = prt_check_address(s, &ip, why);
	char q[POL_QUOTE];

	if (w)
		return w;
	for (size_t i = 0; i < ips->n; i++)
		if (ips->v[i].hi == ip.hi && ips->v[i].lo == ip.lo && ips->v[i].family == ip.family)
			return wrong(why, "address `%s` is given twice", pol_quote(s, q));
	if (ips->n >= PRT_ADDRESSES_MAX)
		return wrong(why, "more than %u addresses", PRT_ADDRESSES_MAX);
	*pol_vec_push(ips) = ip;
	return NULL;
}

static const char *add_label(struct pol_arena *arena, label_vec *labels, struct pol_str s,
			     char why[PRT_WHY])
{
	const char *eq = s.n ? memchr(s.p, '=', s.n) : NULL;
	struct pol_str key, value;
	const char *w;
	char q[POL_QUOTE];

	if (!eq)
		return wrong(why, "label `%s` has no value: label=KEY=VALUE", pol_quote(s, q));
	key = (struct pol_str){ s.p, (size_t)(eq - s.p) };
	value = (struct pol_str){ eq + 1, s.n - key.n - 1 };
	w = prt_check_label(key, value, why);
	if (w)
		return w;
	if (labels->n >= POL_EP_LABELS)
		return wrong(why, "too many labels");
	*pol_vec_push(labels) =
		(struct prt_label){ pol_arena_str(arena, key), pol_arena_str(arena, value) };
	return NULL;
}

struct given { /* of one endpoint on a command line */
	struct pol_arena *arena;
	struct prt_endpoint ep;
	label_vec labels;
	ip_vec addrs;
};

static const char *const settings[] = { "interface", "address", "label", "mac" };

static const char *take_setting(struct given *g, const char *arg, char why[PRT_WHY],
				struct pol_err *e)
{
	const char *eq = strchr(arg, '='), *w, *near;
	struct pol_str key = { arg, eq ? (size_t)(eq - arg) : strlen(arg) };
	struct pol_str value = eq ? pol_str(eq + 1) : (struct pol_str){ "", 0 };
	char q[POL_QUOTE];

	if (eq && pol_str_is(key, "address"))
		return add_address(&g->addrs, value, why);
	if (eq && pol_str_is(key, "label"))
		return add_label(g->arena, &g->labels, value, why);
	if (eq && pol_str_is(key, "interface")) {
		if (g->ep.interface.n)
			return wrong(why, "interface is given twice");
		w = prt_check_interface(value, why);
		if (!w)
			g->ep.interface = pol_arena_str(g->arena, value);
		return w;
	}
	if (eq && pol_str_is(key, "mac")) {
		if (g->ep.has_mac)
			return wrong(why, "mac is given twice");
		w = prt_check_mac(value, g->ep.mac, why);
		g->ep.has_mac = !w;
		return w;
	}
	near = pol_suggest(key, settings, POL_ARRAY_LEN(settings));
	if (near)
		pol_err_help(e, "did you mean `%s=`?", near);
	else
		pol_err_help(e, "known are interface=, address=, label=KEY=VALUE and mac=");
	return wrong(why, "cannot understand `%s`", pol_quote(pol_str(arg), q));
}

static const char *take_all(struct given *g, size_t nargs, char *const *args, char why[PRT_WHY],
			    struct pol_err *e)
{
	const char *w = prt_check_name(g->ep.name, why);

	for (size_t i = 0; !w && i < nargs; i++)
		w = take_setting(g, args[i], why, e);
	if (!w)
		w = prt_check_labels(g->labels.v, g->labels.n, why);
	if (!w && !g->ep.interface.n)
		w = wrong(why, "no interface is given: interface=NAME");
	if (!w && !g->addrs.n)
		w = wrong(why, "no address is given: address=ADDRESS");
	return w;
}

static void *copy(struct pol_arena *arena, const void *v, size_t bytes)
{
	return bytes ? memcpy(pol_arena_alloc(arena, bytes), v, bytes) : NULL;
}

int prt_endpoint_parse(struct pol_arena *arena, const char *name, size_t nargs, char *const *args,
		       struct prt_endpoint *out, struct pol_err *e)
{
	struct given g = { .arena = arena };
	char why[PRT_WHY], q[POL_QUOTE];
	const char *w;
	int ret = 0;

	g.ep.name = pol_arena_str(arena, pol_str(name));
	w = take_all(&g, nargs, args, why, e);
	if (w) {
		ret = pol_err(e, -EINVAL, "endpoint `%s`: %s", pol_quote(g.ep.name, q), w);
	} else {
		g.ep.labels = copy(arena, g.labels.v, g.labels.n * sizeof(*g.labels.v));
		g.ep.nlabels = g.labels.n;
		g.ep.addrs = copy(arena, g.addrs.v, g.addrs.n * sizeof(*g.addrs.v));
		g.ep.naddrs = g.addrs.n;
		*out = g.ep;
	}
	pol_vec_free(&g.labels);
	pol_vec_free(&g.addrs);
	return ret;
}

/* ---- as the maps have it ------------------------------------------------- */

void prt_labels_pack(const struct prt_endpoint *ep, char out[POL_EP_LABELS])
{
	size_t at = 0;

	memset(out, 0, POL_EP_LABELS);
	for (size_t i = 0; i < ep->nlabels; i++) {
		const struct prt_label *l = &ep->labels[i];

		if (at + l->key.n + l->value.n + 3 > POL_EP_LABELS)
			abort(); /* prt_check_labels let it through: a bug of ours */
		memcpy(out + at, l->key.p, l->key.n);
		at += l->key.n + 1;
		if (l->value.n)
			memcpy(out + at, l->value.p, l->value.n);
		at += l->value.n + 1;
	}
}

static bool unpack_one(const char in[POL_EP_LABELS], size_t *at, struct pol_str *out)
{
	size_t n = strnlen(in + *at, POL_EP_LABELS - *at);

	if (*at + n >= POL_EP_LABELS)
		return false;
	*out = (struct pol_str){ in + *at, n };
	*at += n + 1;
	return true;
}

/* How many keys there are before the empty one or the end; values may be empty. */
static size_t count_labels(const char in[POL_EP_LABELS])
{
	size_t n = 0, at = 0;

	while (at < POL_EP_LABELS && in[at]) {
		for (unsigned part = 0; part < 2 && at < POL_EP_LABELS; part++)
			at += strnlen(in + at, POL_EP_LABELS - at) + 1;
		n++;
	}
	return n;
}

int prt_labels_unpack(struct pol_arena *arena, const char in[POL_EP_LABELS],
		      const struct prt_label **labels, size_t *nlabels)
{
	struct prt_label *v = pol_arena_alloc(arena, count_labels(in) * sizeof(*v));
	size_t n = 0, at = 0;

	for (;;) {
		struct pol_str key, value;

		if (at >= POL_EP_LABELS || !unpack_one(in, &at, &key))
			return -EINVAL;
		if (!key.n)
			break;
		if (at >= POL_EP_LABELS || !unpack_one(in, &at, &value))
			return -EINVAL;
		v[n++] = (struct prt_label){ pol_arena_str(arena, key),
					     pol_arena_str(arena, value) };
	}
	*labels = v;
	*nlabels = n;
	return 0;
}

struct pol_addr prt_addr_of_ip(struct pol_ip ip)
{
	struct pol_addr a = { 0 };
	uint64_t hi = ip.hi, lo = ip.family == 4 ? 0xffff00000000u | ip.lo : ip.lo;

	for (unsigned i = 0; i < 8; i++) {
		a.b[i] = (uint8_t)(hi >> (56 - 8 * i));
		a.b[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
	}
	return a;
}

struct pol_ip prt_ip_of_addr(const struct pol_addr *a)
{
	struct pol_ip ip = { .family = 6 };

	for (unsigned i = 0; i < 8; i++) {
		ip.hi = ip.hi << 8 | a->b[i];
		ip.lo = ip.lo << 8 | a->b[8 + i];
	}
	if (!ip.hi && ip.lo >> 32 == 0xffff) {
		ip.family = 4;
		ip.lo &= 0xffffffffu;
	}
	return ip;
}
