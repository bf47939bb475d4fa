/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host file: golden cases of tests/golden/hostfile, and what cannot be
 * said there.  A case is NAME.yaml; with NAME.diag beside it, it is refused with
 * that text: the message, then `help: ...` if there is help.  Without, it is accepted.
 *
 * UPDATE=1 writes the .diag files; read the diff.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/input/endpoint.h"

/* ---- golden cases -------------------------------------------------------- */

static int is_yaml(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && !strcmp(d->d_name + n - 5, ".yaml");
}

static void said(const char *name, char *out, size_t size)
{
	struct prt_hostfile *h POL_CLEANUP(prt_hostfile_cleanup) = NULL;
	struct pol_err e = { 0 };

	out[0] = '\0';
	if (prt_hostfile_read(name, &h, &e) == 0)
		return;
	assert_null(h);
	snprintf(out, size, "%s\n%s%s%s", e.text, e.help[0] ? "help: " : "", e.help,
		 e.help[0] ? "\n" : "");
}

static bool golden_case(const char *name)
{
	char diag[300], got[1024], want[1024] = "";
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;

	snprintf(diag, sizeof(diag), "%.*s.diag", (int)strlen(name) - 5, name);
	said(name, got, sizeof(got));
	if (getenv("UPDATE")) {
		if (got[0])
			assert_int_equal(pol_write_file(diag, got, strlen(got), NULL), 0);
		return true;
	}
	if (access(diag, F_OK) == 0) {
		assert_int_equal(pol_read_file(diag, sizeof(want), &text, &n, NULL), 0);
		snprintf(want, sizeof(want), "%s", text);
	}
	if (strcmp(got, want) != 0)
		print_error("%s: said\n%sinstead of\n%s", name, got, want);
	return strcmp(got, want) == 0;
}

static void test_golden(void **state)
{
	const char *top = getenv("top_srcdir");
	struct dirent **entry;
	char dir[512], here[512];
	bool ok = true;
	int n;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/tests/golden/hostfile", top ? top : ".");
	assert_non_null(getcwd(here, sizeof(here)));
	if (chdir(dir) != 0)
		fail_msg("%s: %s; set top_srcdir", dir, strerror(errno));
	n = scandir(".", &entry, is_yaml, alphasort);
	assert_true(n > 40);
	for (int i = 0; i < n; i++) {
		ok &= golden_case(entry[i]->d_name);
		free(entry[i]);
	}
	free(entry);
	assert_int_equal(chdir(here), 0);
	assert_true(ok);
}

/* ---- what was read ------------------------------------------------------- */

static struct prt_hostfile *parse(const char *text)
{
	struct prt_hostfile *h = NULL;
	struct pol_err e = { 0 };

	if (prt_hostfile_parse("h.yaml", pol_str(text), &h, &e))
		fail_msg("%s", e.text);
	return h;
}

static void test_values(void **state)
{
	struct prt_hostfile *h = parse(
		"host: node-1\nhost_addresses: [192.0.2.1]\nuplinks: [eth0, eth1]\ndirect: [eth1]\nendpoints:\n"
		"  - name: web-1\n    interface: veth-web1\n"
		"    addresses: [10.1.0.2, \"fd00:1::2\"]\n"
		"    labels: {tier: 1, app: frontend, a: \"\"}\n    mac: 02:00:00:00:00:0A\n"
		"remote:\n  - labels: {app: db}\n    addresses: [10.2.0.7]\n"
		"balancers: [192.0.2.9, 192.0.2.64/30]\ntunnel_source: [\"2001:db8::40/122\", 192.0.2.8]\n"
		"nodes:\n  - {name: node-2, addresses: [192.0.2.2]}\nproxy: {workers: 2, table: 3000, priority: 99, "
		"body_max: 4294967295, timeout: {head: 1, connect: 86400}}\n");
	const struct prt_endpoint *ep = &h->endpoints[0];

	(void)state;
	assert_string_equal(h->host.p, "node-1");
	assert_int_equal(h->nhost_addrs, 1);
	assert_int_equal(h->nuplinks, 2);
	assert_string_equal(h->uplinks[1].p, "eth1");
	assert_int_equal(h->ndirect, 1);
	assert_true(pol_str_eq(h->direct[0], h->uplinks[1]));
	assert_int_equal(h->nendpoints, 1);
	assert_string_equal(ep->name.p, "web-1");
	assert_int_equal(ep->line, 6);
	assert_int_equal(ep->column, 11);
	assert_int_equal(ep->naddrs, 2);
	assert_true(ep->addrs[0].family == 4 && ep->addrs[0].lo == 0x0a010002);
	assert_true(ep->addrs[1].family == 6 && ep->addrs[1].hi == 0xfd00000100000000u);
	assert_int_equal(ep->nlabels, 3);
	assert_string_equal(ep->labels[0].key.p, "a");
	assert_int_equal(ep->labels[0].value.n, 0);
	assert_string_equal(ep->labels[2].key.p, "tier");
	assert_string_equal(ep->labels[2].value.p, "1");
	assert_true(ep->has_mac && ep->mac[0] == 2 && ep->mac[5] == 10);
	assert_int_equal(h->nremotes, 1);
	assert_string_equal(h->remotes[0].name.p, "10.2.0.7");
	assert_int_equal(h->remotes[0].interface.n, 0);
	assert_int_equal(h->nbalancers, 5);
	assert_true(h->balancers[0].lo == 0xc0000209 && h->balancers[1].lo == 0xc0000240);
	assert_true(h->balancers[4].lo == 0xc0000243);
	assert_true(h->tunnel_source[0].addr.lo == 0xc0000208 && h->tunnel_source[0].len == 32);
	assert_true(h->tunnel_source[1].addr.family == 6 && h->tunnel_source[1].len == 122);
	assert_int_equal(h->nnodes, 1);
	assert_int_equal(h->proxy_workers, 2);
	assert_int_equal(h->proxy_body_max, UINT32_MAX);
	assert_int_equal(h->proxy_timeout[0], 1);
	assert_int_equal(h->proxy_timeout[2], 0);
	assert_int_equal(h->proxy_timeout[3], 86400);
	assert_int_equal(h->proxy_table, 3000);
	assert_int_equal(h->proxy_priority, 99);
	prt_hostfile_free(h);
}

/* A large file is read, and what is twice in it is found. */
static void test_large(void **state)
{
	struct prt_hostfile *h;
	struct pol_err e = { 0 };
	struct pol_buf b = { 0 };

	(void)state;
	pol_buf_addz(&b, "endpoints:\n");
	for (unsigned i = 0; i < 20000; i++)
		pol_buf_printf(&b,
			       "  - {name: e%u, interface: v%u, addresses: [10.%u.%u.%u], "
			       "labels: {app: a%u}}\n",
			       i, i, 1 + (i >> 16), i >> 8 & 255, i & 255, i % 100);
	h = parse(b.p);
	assert_int_equal(h->nendpoints, 20000);
	prt_hostfile_free(h);
	pol_buf_addz(&b, "  - {name: e7, interface: w, addresses: [10.9.0.1]}\n");
	assert_int_equal(prt_hostfile_parse("h", pol_buf_str(&b), &h, &e), -EINVAL);
	assert_string_equal(e.text, "h:20002:12: name `e7` is already used on line 9");
	pol_buf_free(&b);
}

/* ---- a command line ------------------------------------------------------ */

static int add(struct pol_arena *a, const char *name, char **args, struct prt_endpoint *ep,
	       struct pol_err *e)
{
	size_t n = 0;

	while (args[n])
		n++;
	*e = (struct pol_err){ 0 };
	return prt_endpoint_parse(a, name, n, args, ep, e);
}

static void refuse(const char *name, char **args, const char *says)
{
	struct pol_arena *a = pol_arena_new();
	struct prt_endpoint ep = { .line = 77 };
	struct pol_err e;

	assert_int_equal(add(a, name, args, &ep, &e), -EINVAL);
	if (!strstr(e.text, says) && !strstr(e.help, says))
		fail_msg("`%s` (`%s`), not `%s`", e.text, e.help, says);
	assert_int_equal(ep.line, 77);
	pol_arena_free(a);
}

#define ARGS(...) ((char *[]){ __VA_ARGS__, NULL })

static void test_command_line(void **state)
{
	struct pol_arena *a = pol_arena_new();
	struct prt_endpoint ep;
	struct pol_err e;

	(void)state;
	assert_int_equal(add(a, "web-3",
			     ARGS("interface=veth3", "label=tier=a=b", "address=10.0.0.3",
				  "address=fd00::3", "label=app=", "mac=02:00:00:00:00:03"),
			     &ep, &e),
			 0);
	assert_string_equal(ep.interface.p, "veth3");
	assert_int_equal(ep.naddrs, 2);
	assert_int_equal(ep.nlabels, 2);
	assert_string_equal(ep.labels[0].key.p, "app");
	assert_string_equal(ep.labels[1].value.p, "a=b");
	assert_int_equal(ep.line, 0);
	pol_arena_free(a);

	refuse("a", ARGS("address=10.0.0.1"), "no interface");
	refuse("a", ARGS("interface=v"), "no address");
	refuse("", ARGS("interface=v"), "name is empty");
	refuse("a\x1b", ARGS("interface=v"), "endpoint `a\\x1b`");
	refuse("a", ARGS("interface=v", "interface=w"), "twice");
	refuse("a", ARGS("interface=v", "address=10.0.0.1", "address=10.0.0.1"), "twice");
	refuse("a", ARGS("interface=v", "address=10.0.0.1", "label=a=1", "label=a=2"), "twice");
	refuse("a", ARGS("label=a"), "label=KEY=VALUE");
	refuse("a", ARGS("label==a"), "key is empty");
	refuse("a", ARGS("adress=10.0.0.1"), "did you mean `address=`");
	refuse("a", ARGS("interface"), "did you mean `interface=`");
	refuse("a", ARGS("what"), "known are");
	refuse("a", ARGS("address=10.0.0.256"), "10.0.0.256");
	refuse("a", ARGS("mac=0"), "MAC");
}

/* ---- as the maps have it ------------------------------------------------- */

static void test_labels_packed(void **state)
{
	struct prt_label in[] = { { POL_STR("app"), POL_STR("web") },
				  { POL_STR("z"), POL_STR("") } };
	struct prt_label empty[40];
	struct prt_endpoint ep = { .labels = in, .nlabels = 2 };
	struct prt_endpoint many = { .labels = empty, .nlabels = POL_ARRAY_LEN(empty) };
	struct pol_arena *a = pol_arena_new();
	const struct prt_label *out = NULL;
	char packed[POL_EP_LABELS];
	size_t n = 0;

	(void)state;
	prt_labels_pack(&ep, packed);
	assert_int_equal(prt_labels_unpack(a, packed, &out, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(out[0].value.p, "web");
	assert_string_equal(out[1].key.p, "z");
	assert_int_equal(out[1].value.n, 0);
	for (size_t i = 0; i < POL_ARRAY_LEN(empty); i++)
		empty[i] = (struct prt_label){ i % 2 ? POL_STR("odd") : POL_STR("k"), POL_STR("") };
	prt_labels_pack(&many, packed);
	assert_int_equal(prt_labels_unpack(a, packed, &out, &n), 0);
	assert_int_equal(n, POL_ARRAY_LEN(empty));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(out[i].key.p, i % 2 ? "odd" : "k");
		assert_int_equal(out[i].value.n, 0);
	}
	memset(packed, 'x', sizeof(packed));
	assert_int_equal(prt_labels_unpack(a, packed, &out, &n), -EINVAL);
	for (size_t i = 1; i < sizeof(packed); i += 2)
		packed[i] = '\0';
	assert_int_equal(prt_labels_unpack(a, packed, &out, &n), -EINVAL);
	assert_int_equal(n, POL_ARRAY_LEN(empty));
	pol_arena_free(a);
}

/* Labels that fill the room exactly, and one byte more. */
static void test_labels_full(void **state)
{
	static char filler[PRT_LABEL_VALUE_MAX + 1];
	struct prt_label l[9];
	struct prt_endpoint ep = { .labels = l };
	char packed[POL_EP_LABELS], why[PRT_WHY];
	size_t left = POL_EP_LABELS - 1;
	static const char *const key[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };

	(void)state;
	memset(filler, 'v', PRT_LABEL_VALUE_MAX);
	while (left > 3) {
		size_t n = left - 3 > PRT_LABEL_VALUE_MAX ? PRT_LABEL_VALUE_MAX : left - 3;

		l[ep.nlabels] = (struct prt_label){ pol_str(key[ep.nlabels]), { filler, n } };
		ep.nlabels++;
		left -= n + 3;
	}
	assert_null(prt_check_labels(l, ep.nlabels, why));
	prt_labels_pack(&ep, packed);
	assert_int_equal(packed[POL_EP_LABELS - 1], 0);
	l[ep.nlabels - 1].value.n++;
	l[0].value.n += left;
	assert_non_null(prt_check_labels(l, ep.nlabels, why));
}

static void test_addresses(void **state)
{
	struct pol_ip v4 = { .family = 4, .lo = 0x0a000001 };
	struct pol_ip v6 = { .family = 6, .hi = 0x20010db800000000u, .lo = 5 };
	struct pol_addr a = prt_addr_of_ip(v4);
	struct pol_ip back = prt_ip_of_addr(&a);

	(void)state;
	assert_int_equal(a.b[10], 0xff);
	assert_int_equal(a.b[12], 10);
	assert_int_equal(a.b[15], 1);
	assert_true(back.family == 4 && back.lo == v4.lo && !back.hi);
	a = prt_addr_of_ip(v6);
	back = prt_ip_of_addr(&a);
	assert_int_equal(a.b[0], 0x20);
	assert_true(back.family == 6 && back.lo == v6.lo && back.hi == v6.hi);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),        cmocka_unit_test(test_values),
		cmocka_unit_test(test_large),         cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_labels_packed), cmocka_unit_test(test_labels_full),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests_name("hostfile", tests, NULL, NULL);
}
