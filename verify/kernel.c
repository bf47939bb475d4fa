/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare, sched_setaffinity */
#endif
#include "verify/kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/input/quiet.h"

static const char *const shared_maps[] = {
	POL_MAP_EP_BY_IF, POL_MAP_EP_BY_ADDR, POL_MAP_CT,
	POL_MAP_FRAGS,    POL_MAP_DROPS,      POL_MAP_SCRATCH,
};
enum { BY_IF, BY_ADDR, CT, FRAGS, DROPS, SCRATCH, SHARED };
_Static_assert(POL_ARRAY_LEN(shared_maps) == SHARED, "one name for each");

static const char *const programs[POL_HOOK_MAX] = {
	[POL_HOOK_EP_OUT] = POL_PROG_EP_OUT,         [POL_HOOK_EP_IN] = POL_PROG_EP_IN,
	[POL_HOOK_UPLINK_IN] = POL_PROG_UPLINK_IN,   [POL_HOOK_LO_IN] = POL_PROG_LO_IN,
	[POL_HOOK_UPLINK_OUT] = POL_PROG_UPLINK_OUT,
};

struct kernel {
	unsigned device[WORLD_EPS]; /* ifindex of each local endpoint's device */
	unsigned uplink, ndevices;
	int shared[SHARED]; /* -1 until the first object made them */
	void *ct;
	size_t ct_size;
	int ncpus, cpu;
	struct pol_scratch *scratch; /* room for one of each CPU */
	struct pol_addr known[WORLD_EPS * WORLD_ADDRS + 2 * WORLD_OTHERS]; /* keys of ep_by_addr */
	size_t nknown;
};

struct generation {
	struct bpf_object *object;
	int program[POL_HOOK_MAX];
	uint32_t *pages; /* mapped, for generation_spoil */
	size_t pages_size;
	struct prt_gen view; /* as the loader sees it; mapped when it is first asked for */
	size_t view_size[3];
};

/* ---- devices ------------------------------------------------------------------ */

static void device_mac(uint8_t mac[6], unsigned number)
{
	memcpy(mac, (uint8_t[6]){ 2, 0, 0, 0, 1, (uint8_t)number }, 6);
}

static void container_mac(uint8_t mac[6], unsigned number)
{
	memcpy(mac, (uint8_t[6]){ 2, 0, 0, 0, 2, (uint8_t)number }, 6);
}

static int make_devices(struct kernel *k, struct pol_err *e)
{
	FILE *ip = popen("ip -batch -", "w");
	char name[IFNAMSIZ];

	if (!ip)
		return pol_err(e, -errno, "cannot run ip: %s", strerror(errno));
	for (unsigned i = 0; i <= k->ndevices; i++)
		fprintf(ip,
			"link add dev pt%u address 02:00:00:00:01:%02x type veth peer name pu%u\n",
			i, i, i);
	if (pclose(ip) != 0)
		return pol_err(e, -EIO, "ip cannot make veth devices");
	k->uplink = if_nametoindex("pt0");
	for (unsigned i = 0; i < k->ndevices; i++) {
		snprintf(name, sizeof(name), "pt%u", i + 1);
		k->device[i] = if_nametoindex(name);
	}
	return k->uplink ? 0 : pol_err(e, -ENODEV, "device pt0 did not appear");
}

/* The last thing that libbpf warned of: why an object could not be loaded. */
static char warning[256];

static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN) {
		vsnprintf(warning, sizeof(warning), format, args);
		warning[strcspn(warning, "\n")] = '\0';
	}
	return 0;
}

/* The scratch map is by CPU: stay on the one where we are. */
static void stay_here(struct kernel *k)
{
	cpu_set_t set;

	k->cpu = sched_getcpu();
	CPU_ZERO(&set);
	CPU_SET(k->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

int kernel_open(struct kernel **out, unsigned endpoints, struct pol_err *e)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int r;

	k->ndevices = endpoints;
	for (int i = 0; i < SHARED; i++)
		k->shared[i] = -1;
	if (unshare(CLONE_NEWNET))
		r = pol_err(e, -errno, "no network namespace of our own: %s", strerror(errno));
	else
		r = make_devices(k, e);
	k->ncpus = libbpf_num_possible_cpus();
	if (!r && k->ncpus < 1)
		r = pol_err(e, -ENOSYS, "cannot count the CPUs");
	if (r) {
		kernel_close(k);
		return r;
	}
	k->scratch = calloc((size_t)k->ncpus, sizeof(*k->scratch));
	stay_here(k);
	libbpf_set_print(keep_warning);
	*out = k;
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	if (k->ct)
		munmap(k->ct, k->ct_size);
	for (int i = 0; i < SHARED; i++)
		if (k->shared[i] >= 0)
			close(k->shared[i]);
	free(k->scratch);
	free(k);
}

/* ---- loading --------------------------------------------------------------------- */

/* Where a variable of a data section stands in the contents of its map; -ENOENT. */
static int variable_offset(const struct bpf_object *o, const char *section, const char *name)
{
	const struct btf *btf = bpf_object__btf(o);
	int id = btf ? btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC) : -ENOENT;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (unsigned i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_var_secinfo *v = btf_var_secinfos(t) + i;
		const struct btf_type *var = btf__type_by_id(btf, v->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), name) == 0)
			return (int)v->offset;
	}
	return -ENOENT;
}

/* A copy of what the map of a section will hold, to be changed and given back. */
static char *contents(const struct bpf_object *o, const char *section, struct bpf_map **map,
		      size_t *size)
{
	const void *now;
	char *copy;

	*map = bpf_object__find_map_by_name(o, section);
	now = *map ? bpf_map__initial_value(*map, size) : NULL;
	if (!now)
		return NULL;
	copy = malloc(*size);
	memcpy(copy, now, *size);
	return copy;
}

static int set_constants(struct bpf_object *o, uint64_t number, struct pol_err *e)
{
	static const uint64_t seed[2] = { 0x0123456789abcdefu, 0xfedcba9876543210u };
	int generation_at = variable_offset(o, ".rodata", POL_VAR_GENERATION);
	int seed_at = variable_offset(o, ".rodata", POL_VAR_HASH_SEED);
	char *rodata POL_CLEANUP(pol_cleanup_free) = NULL;
	struct bpf_map *map;
	size_t size;

	rodata = contents(o, ".rodata", &map, &size);
	if (!rodata || generation_at < 0 || seed_at < 0)
		return pol_err(e, -ENOENT, "the object has no " POL_VAR_GENERATION);
	memcpy(rodata + generation_at, &number, sizeof(number));
	memcpy(rodata + seed_at, seed, sizeof(seed));
	return bpf_map__set_initial_value(map, rodata, size);
}

static int set_table(struct bpf_object *o, const char *section, const void *p, size_t n,
		     struct pol_err *e)
{
	char *table POL_CLEANUP(pol_cleanup_free) = NULL;
	struct bpf_map *map;
	size_t size = 0;

	table = contents(o, section, &map, &size);
	if (!table || n > size)
		return pol_err(e, -ENOSPC, "the placement does not fit %s", section);
	memcpy(table, p, n);
	return bpf_map__set_initial_value(map, table, size);
}

static int set_tables(struct bpf_object *o, const struct prt_place *p, struct pol_err *e)
{
	int r = set_table(o, POL_SEC_PAGES, prt_place_pages(p),
			  prt_place_npages(p) * POL_PAGE * sizeof(uint32_t), e);

	return r ? r
		 : set_table(o, POL_SEC_VERDICTS, prt_place_verdicts(p),
			     prt_place_nverdicts(p) * sizeof(struct pol_verdict), e);
}

static int share_maps(struct kernel *k, struct bpf_object *o, struct pol_err *e)
{
	for (int i = 0; i < SHARED; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(o, shared_maps[i]);
		int r;

		if (!m)
			return pol_err(e, -ENOENT, "the object has no map %s", shared_maps[i]);
		if (k->shared[i] < 0)
			continue;
		r = bpf_map__reuse_fd(m, k->shared[i]);
		if (r)
			return pol_err(e, r, "map %s: %s", shared_maps[i], strerror(-r));
	}
	return 0;
}

/* Those of the first object stay for all that follow. */
static int keep_maps(struct kernel *k, struct bpf_object *o, struct pol_err *e)
{
	struct bpf_map *ct = bpf_object__find_map_by_name(o, POL_MAP_CT);

	if (k->ct)
		return 0;
	for (int i = 0; i < SHARED; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(o, shared_maps[i]);

		k->shared[i] = fcntl(bpf_map__fd(m), F_DUPFD_CLOEXEC, 0);
	}
	k->ct_size = (size_t)bpf_map__max_entries(ct) * sizeof(struct pol_ct_bucket);
	k->ct = mmap(NULL, k->ct_size, PROT_READ | PROT_WRITE, MAP_SHARED, k->shared[CT], 0);
	if (k->ct == MAP_FAILED) {
		k->ct = NULL;
		return pol_err(e, -errno, "map ct: cannot be mapped: %s", strerror(errno));
	}
	return 0;
}

static int find_programs(struct generation *g, struct pol_err *e)
{
	struct bpf_map *pages = bpf_object__find_map_by_name(g->object, POL_SEC_PAGES);

	for (int h = 0; h < POL_HOOK_MAX; h++) {
		struct bpf_program *p = bpf_object__find_program_by_name(g->object, programs[h]);

		if (!p)
			return pol_err(e, -ENOENT, "the object has no program %s", programs[h]);
		g->program[h] = bpf_program__fd(p);
	}
	g->pages_size = bpf_map__value_size(pages);
	g->pages = mmap(NULL, g->pages_size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(pages),
			0);
	if (g->pages == MAP_FAILED) {
		g->pages = NULL;
		return pol_err(e, -errno, "pages cannot be mapped: %s", strerror(errno));
	}
	return 0;
}

int generation_load(struct kernel *k, const struct prt_object *o, const struct prt_place *p,
		    uint64_t number, struct generation **out, struct pol_err *e)
{
	struct generation *g = calloc(1, sizeof(*g));
	int r = 0;

	g->object = bpf_object__open_mem(o->data, o->size, NULL);
	if (!g->object)
		r = prt_quiet_unread(o->path.p, e);
	if (!r)
		r = set_constants(g->object, number, e);
	if (!r)
		r = set_tables(g->object, p, e);
	if (!r)
		r = share_maps(k, g->object, e);
	if (!r && (r = bpf_object__load(g->object)))
		pol_err(e, r, "the kernel refuses the object: %s (%s)", strerror(-r), warning);
	if (!r)
		r = keep_maps(k, g->object, e);
	if (!r)
		r = find_programs(g, e);
	if (r) {
		generation_free(g);
		return r;
	}
	*out = g;
	return 0;
}

static void unmap_view(struct generation *g)
{
	void *const p[] = { g->view.state, g->view.slot, g->view.verdicts };

	for (int i = 0; i < 3; i++)
		if (p[i])
			munmap(p[i], g->view_size[i]);
}

static void *map_whole(const struct generation *g, const char *name, size_t *size)
{
	const struct bpf_map *m = bpf_object__find_map_by_name(g->object, name);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p;

	*size = ((size_t)((bpf_map__value_size(m) + 7u) & ~7u) * bpf_map__max_entries(m) + page -
		 1) /
		page * page;
	p = mmap(NULL, *size, PROT_READ, MAP_SHARED, bpf_map__fd(m), 0);
	return p == MAP_FAILED ? NULL : p;
}

const struct prt_gen *generation_view(struct kernel *k, struct generation *g,
				      const struct prt_object *o)
{
	struct prt_gen *v = &g->view;

	if (!v->state)
		v->state = map_whole(g, POL_MAP_EP_STATE, &g->view_size[0]);
	if (!v->slot)
		v->slot = map_whole(g, POL_MAP_ADDR_COLUMN, &g->view_size[1]);
	if (!v->verdicts)
		v->verdicts = map_whole(g, POL_SEC_VERDICTS, &g->view_size[2]);
	v->pages = g->pages;
	v->info.page_room = o->max_pages;
	v->info.verdict_room = o->max_verdicts;
	v->fd[PRT_GEN_EP_BY_ADDR] = k->shared[BY_ADDR];
	return v->state && v->slot && v->verdicts ? v : NULL;
}

void generation_free(struct generation *g)
{
	if (!g)
		return;
	unmap_view(g);
	if (g->pages)
		munmap(g->pages, g->pages_size);
	bpf_object__close(g->object);
	free(g);
}

bool generation_spoil(struct generation *g, uint32_t page, uint32_t entry, uint32_t value)
{
	size_t at = (size_t)page * POL_PAGE + entry;

	if ((at + 1) * sizeof(uint32_t) > g->pages_size || g->pages[at] == value)
		return false;
	g->pages[at] = value;
	return true;
}

/* ---- filling the maps ---------------------------------------------------------------- */

static int own(struct kernel *k, struct pol_ip ip, const struct pol_owner *owner)
{
	struct pol_addr key = prt_addr_of_ip(ip);

	k->known[k->nknown++] = key;
	return bpf_map_update_elem(k->shared[BY_ADDR], &key, owner, BPF_ANY);
}

static int fill_ep(struct kernel *k, struct generation *g, const struct prt_place *p,
		   const struct world_ep *ep, uint32_t *slot)
{
	int columns = bpf_object__find_map_fd_by_name(g->object, POL_MAP_ADDR_COLUMN);
	int states = bpf_object__find_map_fd_by_name(g->object, POL_MAP_EP_STATE);
	struct pol_ep_state state = { .incarnation = 1 };
	unsigned ifindex = ep->here ? k->device[ep->number - 1] : 0;
	struct pol_if hangs = { .ep = ep->number, .kind = POL_IF_ENDPOINT, .ifindex = ifindex };
	uint32_t near = ifindex % POL_IF_NEAR;
	int r = 0;

	for (size_t i = 0; i < ep->naddrs && !r; i++, ++*slot) {
		uint32_t column = prt_place_get_column(p, ep->number, i);
		struct pol_owner owner = { .ep = ep->number,
					   .slot = *slot,
					   .ifindex = ifindex,
					   .entity = POL_ENTITY_ENDPOINT };

		r = bpf_map_update_elem(columns, slot, &column, BPF_ANY);
		if (!r)
			r = own(k, ep->addr[i], &owner);
		hangs.addr[ep->addr[i].family == 6] = k->known[k->nknown - 1];
	}
	if (r || !ep->here)
		return r;
	prt_place_get_root(p, ep->number, state.root);
	r = bpf_map_update_elem(states, &ep->number, &state, BPF_ANY);
	if (ep->number & 1) { /* half of them are held to their MAC */
		hangs.flags = POL_IF_HAS_MAC;
		container_mac(hangs.mac, ep->number);
	}
	r = r ? r : bpf_map_update_elem(k->shared[BY_IF], &ifindex, &hangs, BPF_ANY);
	if (r || ep->number % 4 == 3) /* a quarter of them are found by the hashes alone */
		return r;
	return bpf_map_update_elem(bpf_object__find_map_fd_by_name(g->object, POL_MAP_IF_NEAR),
				   &near, &hangs, BPF_ANY);
}

int generation_fill(struct kernel *k, struct generation *g, const struct prt_place *p,
		    const struct world *w, struct pol_err *e)
{
	struct pol_if uplink = { .kind = POL_IF_UPLINK };
	struct pol_owner host = { .entity = POL_ENTITY_HOST }, node = { .entity = POL_ENTITY_NODE };
	uint32_t slot = 1;
	int r;

	while (k->nknown)
		bpf_map_delete_elem(k->shared[BY_ADDR], &k->known[--k->nknown]);
	r = bpf_map_update_elem(k->shared[BY_IF], &k->uplink, &uplink, BPF_ANY);
	for (size_t i = 0; i < w->neps && !r; i++)
		r = fill_ep(k, g, p, &w->ep[i], &slot);
	for (size_t i = 0; i < w->nhost && !r; i++)
		r = own(k, w->host[i], &host);
	for (size_t i = 0; i < w->nnode && !r; i++)
		r = own(k, w->node[i], &node);
	return r ? pol_err(e, r, "cannot fill the maps: %s", strerror(-r)) : 0;
}

/* ---- packets ------------------------------------------------------------------------------ */

struct meeting { /* where a packet is seen first */
	enum pol_hook hook;
	unsigned ifindex, ingress;
	uint8_t dst_mac[6], src_mac[6];
};

/*
 * bridged: what comes from elsewhere is seen first where it is delivered, as on a bridge
 * whose uplink we do not watch.
 */
static struct meeting meet(const struct kernel *k, const struct world *w, struct pol_ip src,
			   struct pol_ip dst, bool bridged)
{
	struct meeting m = { .hook = POL_HOOK_UPLINK_IN,
			     .ifindex = k->uplink,
			     .ingress = k->uplink };
	const struct world_ep *to = world_owner(w, dst), *from = world_owner(w, src);

	device_mac(m.dst_mac, 0);
	device_mac(m.src_mac, 255);
	switch (world_place(w, src)) {
	case PLACE_LOCAL:
		m.hook = POL_HOOK_EP_OUT;
		m.ifindex = m.ingress = k->device[from->number - 1];
		device_mac(m.dst_mac, from->number);
		container_mac(m.src_mac, from->number);
		break;
	case PLACE_HOST:
		m.hook = POL_HOOK_EP_IN;
		m.ifindex = k->device[to->number - 1];
		m.ingress = 0;
		container_mac(m.dst_mac, to->number);
		device_mac(m.src_mac, to->number);
		break;
	case PLACE_ELSEWHERE:
		if (!bridged)
			break;
		m.hook = POL_HOOK_EP_IN;
		m.ifindex = k->device[to->number - 1];
		container_mac(m.dst_mac, to->number);
		break;
	}
	return m;
}

int generation_run(struct kernel *k, struct generation *g, const struct world *w,
		   const struct flow *f, enum frame_kind kind, bool decorated, struct seen *out,
		   struct pol_err *e)
{
	bool back = frame_backward(kind);
	struct meeting m =
		meet(k, w, back ? f->dst : f->src, back ? f->src : f->dst, f->sport % 8 == 5);
	struct __sk_buff ctx = { .ifindex = m.ifindex, .ingress_ifindex = m.ingress };
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame.b, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);
	uint32_t zero = 0;
	int r;

	frame_build(&frame, f, kind, decorated, m.dst_mac, m.src_mac);
	o.data_size_in = (uint32_t)frame.n;
	r = bpf_prog_test_run_opts(g->program[m.hook], &o);
	if (!r)
		r = bpf_map_lookup_elem(k->shared[SCRATCH], &zero, k->scratch);
	if (r)
		return pol_err(e, r, "BPF_PROG_TEST_RUN: %s", strerror(-r));
	out->result = (int)o.retval;
	out->scratch = k->scratch[k->cpu];
	return 0;
}

void kernel_forget_flows(struct kernel *k)
{
	if (k->ct)
		memset(k->ct, 0, k->ct_size);
}

int generation_hits(struct generation *g, uint32_t rule, struct pol_rule_hits *out,
		    struct pol_err *e)
{
	int fd = bpf_object__find_map_fd_by_name(g->object, POL_MAP_RULE_HITS);
	int n = libbpf_num_possible_cpus();
	struct pol_rule_hits *v POL_CLEANUP(pol_cleanup_free) = calloc((size_t)n, sizeof(*v));
	int r = bpf_map_lookup_elem(fd, &rule, v);

	*out = (struct pol_rule_hits){ 0 };
	for (int i = 0; i < n && !r; i++) {
		out->packets += v[i].packets;
		out->bytes += v[i].bytes;
		out->connections += v[i].connections;
	}
	return r ? pol_err(e, r, "map rule_hits: rule %u: %s", rule, strerror(-r)) : 0;
}

struct bpf_object *generation_object(struct generation *g)
{
	return g->object;
}

struct pol_ct_bucket *kernel_flows(struct kernel *k, size_t *buckets)
{
	*buckets = k->ct_size / sizeof(struct pol_ct_bucket);
	return k->ct;
}

unsigned kernel_uplink(const struct kernel *k)
{
	return k->uplink;
}
