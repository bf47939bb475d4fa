/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What container runtimes say, by the first byte: 'C', a call of a CNI runtime (environment and
 * configuration); 'E', answers of an engine, one after the other; 'P', path and body of a call to the
 * network plugin; 'A', aliases and lines of cgroups.  Parts are apart by \x1e.
 * Refused with a text, or what comes out keeps the promises of the headers.
 */
#include <errno.h>
#include <unistd.h>

#include "container/call.h"
#include "container/cni.h"
#include "container/docker.h"
#include "container/whose.h"
#include "runtime/input/endpoint.h"
#include "runtime/change/endpoints.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define PARTS 8

static char *part[PARTS];
static size_t length[PARTS], parts, asked;

/* ---- what the host would say -------------------------------------------------------------------- */

const char *prt_safe(const char *text)
{
	return text;
}

int prt_env_privileges(struct pol_err *e)
{
	(void)e;
	return 0;
}

/* The next part is the answer. */
int cn_engine_get(struct cn_engine *g, const char *path, json_t **out, struct pol_err *e)
{
	size_t i = asked++;
	json_t *state;

	(void)g;
	if (strlen(path) > 255 || strpbrk(path, " \r\n"))
		abort();
	if (i >= parts || !length[i])
		return -ENOENT;
	*out = json_loadb(part[i], length[i], 0, NULL);
	if (!*out)
		return pol_err(e, -EBADMSG, "no JSON");
	state = json_object_get(*out, "State");
	/* That of a process that may be looked at. */
	if (json_integer_value(json_object_get(state, "Pid")) == 1)
		json_object_set_new(state, "Pid", json_integer(getpid()));
	return 0;
}

int prt_net_veths(int netns, prt_veths *out, struct pol_err *e)
{
	struct prt_veth v = { .here = { .name = "veth1", .ifindex = 7 },
			      .far = { .name = "eth0", .mac = { 2, 0, 0, 0, 0, 1 } } };

	(void)netns, (void)e;
	*pol_vec_push(out) = v;
	return 0;
}

bool prt_net_link_of(const struct nlmsghdr *h, struct prt_link *out)
{
	(void)h, (void)out;
	return false;
}

int32_t prt_net_netns_id(int netns)
{
	return netns;
}

/* One that came into the namespace of the container that is asked about. */
int cn_present(int netns, struct pol_arena *arena, cn_ids *out, struct pol_err *e)
{
	(void)netns, (void)e;
	*pol_vec_push(out) = pol_arena_str(arena, pol_str("fedcba9876543210"));
	return 0;
}

static bool good(const struct prt_endpoint *ep)
{
	char why[PRT_WHY], packed[POL_EP_LABELS];

	for (size_t i = 0; i < ep->nlabels; i++) {
		if (prt_check_label(ep->labels[i].key, ep->labels[i].value, why) ||
		    (i && pol_str_cmp(ep->labels[i - 1].key, ep->labels[i].key) >= 0))
			return false;
	}
	prt_labels_pack(ep, packed);
	return ep->naddrs && !prt_check_name(ep->name, why) &&
	       !prt_check_interface(ep->interface, why);
}

int prt_endpoint_add(struct prt_env *env, const struct prt_endpoint *ep, struct pol_err *e)
{
	(void)env, (void)e;
	if (!good(ep))
		abort();
	return 0;
}

int prt_endpoint_del(struct prt_env *env, const char *name, bool hold, struct pol_err *e)
{
	(void)env, (void)name, (void)hold, (void)e;
	return 0;
}

int prt_endpoint_hold(struct prt_env *env, const char *interface, struct pol_err *e)
{
	(void)env, (void)interface, (void)e;
	return 0;
}

int prt_endpoint_hooked(struct prt_env *env, uint32_t ifindex, bool *hooked, struct pol_err *e)
{
	(void)env, (void)ifindex, (void)e;
	*hooked = true;
	return 0;
}

/* One lives here: what cni-check of the corpus asks for. */
int prt_endpoint_each(struct prt_env *env, prt_endpoint_fn fn, void *ctx, struct pol_err *e)
{
	static const char labels[] = "cni.container\0id-1\0cni.interface\0eth0\0cni.network\0net\0";
	struct prt_member_addr addr = { .addr = { .b = { [10] = 0xff, 0xff, 10, 1, 0, 2 } } };
	struct prt_member m = { .info = { .name = "id-1/eth0", .ifindex = 7 } };

	(void)env, (void)e;
	memcpy(m.info.labels, labels, sizeof(labels));
	*pol_vec_push(&m.addrs) = addr;
	fn(&m, ctx);
	pol_vec_free(&m.addrs);
	return 0;
}

/* ---- what is asked -------------------------------------------------------------------------------- */

static void cni(void)
{
	static const char *const names[] = { "CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME",
					     "CNI_ARGS" };
	struct cni_request q = { .version = "1.1.0" };
	struct pol_buf out = { 0 };
	struct pol_err e = { 0 };
	enum cni_code code;

	for (size_t i = 0; i < POL_ARRAY_LEN(names); i++)
		setenv(names[i], i < parts ? part[i] : "", 1);
	setenv("CNI_NETNS", "/proc/self/ns/net", 1);
	code = cni_request_read(&q, parts > 4 ? part[4] : "", parts > 4 ? length[4] : 0, &e);
	code = code ? code : cni_run(&q, &out, &e);
	if (code) {
		if (!e.text[0])
			abort();
		out.n = 0;
		cni_error(&q, code, &e, &out);
	}
	if (out.n) { /* whatever was said, the runtime can read it */
		json_t *answer = json_loadb(out.p, out.n, 0, NULL);

		if (!answer)
			abort();
		json_decref(answer);
	}
	cni_request_free(&q);
	pol_buf_free(&out);
}

static void engine(void)
{
	struct cn_engine g = { 0 };
	struct cn_docker d = { .engine = &g };
	struct cn_container c;
	struct cn_labels l = { .arena = pol_arena_new() };
	struct pol_err e = { 0 };
	struct pol_str name;
	char network[CN_ID];
	cn_ids ids = { 0 };
	int r;

	asked = 0;
	r = cn_docker_read(&d, "0123456789abcdef", &c, &e);
	if (r && r != -ENOENT && !e.text[0])
		abort();
	for (size_t i = 0; i < c.ep.n; i++)
		if (!good(&c.ep.v[i]))
			abort();
	cn_container_free(&c);
	asked = 0;
	cn_docker_starting(&d, "0123456789abcdef", &l, &name, &e);
	asked = 0;
	if (!cn_docker_network(&d, "0123456789abcdef", network, &e) && !network[0])
		abort();
	asked = 0;
	cn_docker_running(&d, l.arena, &ids, &e);
	pol_vec_free(&ids);
	cn_docker_forget(&d);
	cn_labels_free(&l);
	pol_arena_free(l.arena);
}

static bool is_subnet(struct cn_addr a)
{
	return pol_ip_eq(cn_subnet_of(a), a.ip);
}

static void plugin(void)
{
	enum cn_method m = cn_method_of(parts ? part[0] : "");
	char id[CN_POOL_ID];
	struct pol_err e = { 0 };
	struct cn_call c;
	int r;

	if (m == CN_METHODS)
		return;
	r = cn_call_read(&c, m, parts > 1 ? part[1] : "", parts > 1 ? length[1] : 0, &e);
	if (r ? !e.text[0]
	      : (c.network[0] && !cn_good_id(c.network)) ||
			    (c.endpoint[0] && !cn_good_id(c.endpoint)) ||
			    (m == CN_CREATE_NETWORK && !c.addr[CN_V4].ip.family &&
			     !c.addr[CN_V6].ip.family) ||
			    (m == CN_CREATE_NETWORK &&
			     (!is_subnet(c.addr[CN_V4]) || !is_subnet(c.addr[CN_V6]))) ||
			    (m >= CN_CREATE_ENDPOINT && m <= CN_REVOKE && !c.endpoint[0]) ||
			    (m == CN_REQUEST_ADDRESS && !is_subnet(c.pool)) ||
			    c.addr[CN_V4].len > 32 || c.addr[CN_V6].len > 128)
		abort();
	cn_pool_id(c.pool, c.range, id);
	cn_call_free(&c);
}

static void kernel(void)
{
	struct cn_pair pair;
	char id[CN_ID];

	for (size_t i = 0; i < parts; i++) {
		cn_pair_of(part[i], &pair);
		if (cn_cgroup_id(part[i], id) && !cn_good_id(id))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), *at = text, *end;

	memcpy(text, data, n);
	text[n] = '\0';
	parts = 0;
	for (at = text + (n > 0); at <= text + n && parts < PARTS; at = end + 1) {
		end = memchr(at, '\x1e', (size_t)(text + n - at));
		end = end ? end : text + n;
		*end = '\0';
		part[parts] = at;
		length[parts++] = (size_t)(end - at);
	}
	switch (text[0]) {
	case 'C':
		cni();
		break;
	case 'E':
		engine();
		break;
	case 'P':
		plugin();
		break;
	case 'A':
		kernel();
		break;
	}
	free(text);
	return 0;
}
