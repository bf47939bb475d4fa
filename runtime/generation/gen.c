/* SPDX-License-Identifier: GPL-2.0-only */
#include "gen.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <polc/http.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/input/quiet.h"
#include "sets.h"
#include "stub.h"

#define PRT_GEN_NAME(e, n, p) [PRT_GEN_##e] = { n, p },
static const struct {
	const char *map, *pin;
} maps[PRT_GEN_MAP_MAX] = { PRT_GEN_MAPS(PRT_GEN_NAME) };
#undef PRT_GEN_NAME

#define PRT_GEN_NAME(e, n) [PRT_PROG_##e] = n,
static const char *const progs[PRT_PROG_MAX] = { PRT_GEN_PROGS(PRT_GEN_NAME) };
#undef PRT_GEN_NAME
_Static_assert((int)PRT_PROG_EP_OUT == (int)POL_HOOK_EP_OUT &&
		       (int)PRT_PROG_EP_IN == (int)POL_HOOK_EP_IN &&
		       (int)PRT_PROG_UPLINK_IN == (int)POL_HOOK_UPLINK_IN &&
		       (int)PRT_PROG_LO_IN == (int)POL_HOOK_LO_IN &&
		       (int)PRT_PROG_UPLINK_OUT == (int)POL_HOOK_UPLINK_OUT &&
		       (int)PRT_PROG_XDP == (int)POL_HOOK_XDP,
	       "programs by hook");

const char *prt_gen_program_name(enum prt_prog p)
{
	return progs[p];
}

void prt_gen_init(struct prt_gen *g)
{
	memset(g, 0, sizeof(*g));
	for (size_t i = 0; i < PRT_GEN_MAP_MAX; i++)
		g->fd[i] = -1;
	for (size_t i = 0; i < PRT_PROG_MAX; i++)
		g->prog[i] = -1;
}

static size_t page_up(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n + page - 1) / page * page;
}

static size_t bytes_of(const struct prt_gen *g, enum prt_gen_map m)
{
	if (m == PRT_GEN_EP_STATE)
		return page_up(POL_EP_MAX * sizeof(*g->state));
	if (m == PRT_GEN_ADDR_COLUMN)
		return page_up(POL_SLOT_MAX * sizeof(*g->slot));
	if (m == PRT_GEN_PAGES)
		return page_up((size_t)g->info.page_room * POL_PAGE * sizeof(*g->pages));
	return page_up(g->info.verdict_room * sizeof(*g->verdicts));
}

void prt_gen_close(struct prt_gen *g)
{
	if (g->state)
		munmap(g->state, bytes_of(g, PRT_GEN_EP_STATE));
	if (g->slot)
		munmap(g->slot, bytes_of(g, PRT_GEN_ADDR_COLUMN));
	if (g->pages)
		munmap(g->pages, bytes_of(g, PRT_GEN_PAGES));
	if (g->verdicts)
		munmap(g->verdicts, bytes_of(g, PRT_GEN_VERDICTS));
	for (size_t i = 0; i < PRT_GEN_MAP_MAX; i++)
		pol_cleanup_fd(&g->fd[i]);
	for (size_t i = 0; i < PRT_PROG_MAX; i++)
		pol_cleanup_fd(&g->prog[i]);
	bpf_object__close(g->bpf);
	prt_gen_init(g);
}

/* ---- mapping ---------------------------------------------------------------------- */

static int map_one(const struct prt_gen *g, enum prt_gen_map m, void **out, struct pol_err *e)
{
	void *p = mmap(NULL, bytes_of(g, m), PROT_READ | PROT_WRITE, MAP_SHARED, g->fd[m], 0);

	if (p == MAP_FAILED)
		return pol_err(e, -errno, "map '%s': cannot map into memory: %s", maps[m].pin,
			       strerror(errno));
	*out = p;
	return 0;
}

/* The kernel's maps must be as large as we believe, or writing would kill us. */
static int check_size(const struct prt_gen *g, enum prt_gen_map m, size_t need, struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(g->fd[m], &info, &len))
		return pol_err(e, -errno, "map '%s': %s", maps[m].pin, strerror(errno));
	if (info.type != BPF_MAP_TYPE_ARRAY ||
	    (size_t)((info.value_size + 7u) & ~7u) * info.max_entries < need ||
	    !(info.map_flags & BPF_F_MMAPABLE))
		return pol_err(e, -ENOEXEC,
			       "map '%s': smaller than the object says, or not mappable",
			       maps[m].pin);
	return 0;
}

static int map_tables(struct prt_gen *g, struct pol_err *e)
{
	int r = check_size(g, PRT_GEN_EP_STATE, POL_EP_MAX * sizeof(*g->state), e);

	r = r ? r : check_size(g, PRT_GEN_ADDR_COLUMN, POL_SLOT_MAX * sizeof(*g->slot), e);
	r = r ? r
	      : check_size(g, PRT_GEN_PAGES,
			   (size_t)g->info.page_room * POL_PAGE * sizeof(*g->pages), e);
	r = r ? r : check_size(g, PRT_GEN_VERDICTS, g->info.verdict_room * sizeof(*g->verdicts), e);
	r = r ? r : map_one(g, PRT_GEN_EP_STATE, (void **)&g->state, e);
	r = r ? r : map_one(g, PRT_GEN_ADDR_COLUMN, (void **)&g->slot, e);
	r = r ? r : map_one(g, PRT_GEN_PAGES, (void **)&g->pages, e);
	return r ? r : map_one(g, PRT_GEN_VERDICTS, (void **)&g->verdicts, e);
}

/* ---- loading ------------------------------------------------------------------------ */

/* Where a constant lies in .rodata of `room` bytes; -1: the object has none of that name and size. */
static long constant(const struct btf *btf, const char *name, size_t size, size_t room)
{
	int id = btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -1;
	const struct btf_type *sec = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);

	for (unsigned i = 0; sec && i < btf_vlen(sec); i++) {
		const struct btf_var_secinfo *v = &btf_var_secinfos(sec)[i];
		const struct btf_type *t = btf__type_by_id(btf, v->type);
		const char *n = t ? btf__name_by_offset(btf, t->name_off) : NULL;

		if (n && !strcmp(n, name))
			return v->size == size && (size_t)v->offset + size <= room ? (long)v->offset
										   : -1;
	}
	return -1;
}

/* slot: of each dynamic set; NULL: for the verifier's opinion only. */
static int set_constants(struct bpf_object *bpf, uint64_t number, const struct prt_meta *meta,
			 const uint32_t slot[POL_SETS_MAX], struct pol_err *e)
{
	struct bpf_map *m = bpf_object__find_map_by_name(bpf, ".rodata");
	const struct btf *btf = bpf_object__btf(bpf);
	size_t room = 0;
	const void *now = m ? bpf_map__initial_value(m, &room) : NULL;
	long gen = constant(btf, POL_VAR_GENERATION, sizeof(number), room);
	long key = constant(btf, POL_VAR_HASH_SEED, sizeof(meta->seed), room);
	long grace = constant(btf, POL_VAR_GRACE_END, sizeof(meta->grace_end), room);
	char *copy POL_CLEANUP(pol_cleanup_free) = NULL;
	long at;
	int r;

	if (!now || gen < 0 || key < 0 || grace < 0)
		return pol_err(e, -ENOEXEC, "the object has no constant '%s'",
			       gen < 0   ? POL_VAR_GENERATION
			       : key < 0 ? POL_VAR_HASH_SEED
					 : POL_VAR_GRACE_END);
	copy = malloc(room);
	if (!copy)
		return pol_err(e, -ENOMEM, "no memory for %zu bytes of constants", room);
	memcpy(copy, now, room);
	memcpy(copy + gen, &number, sizeof(number));
	memcpy(copy + key, meta->seed, sizeof(meta->seed));
	memcpy(copy + grace, &meta->grace_end, sizeof(meta->grace_end));
	at = constant(btf, POL_VAR_SET_SLOT, POL_SETS_MAX * sizeof(*slot), room);
	if (at >= 0)
		memcpy(copy + at, slot, POL_SETS_MAX * sizeof(*slot));
	r = bpf_map__set_initial_value(m, copy, room);
	return r ? pol_err(e, r, "map '.rodata': cannot set: %s", strerror(-r)) : 0;
}

struct kind {
	const char *section;
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
	uint32_t flags;
};

static const struct kind *kind_of(size_t prog)
{
	static const struct kind tc = { .section = "tc", .type = BPF_PROG_TYPE_SCHED_CLS },
				 xdp = { .section = "xdp.frags",
					 .type = BPF_PROG_TYPE_XDP,
					 .flags = BPF_F_XDP_HAS_FRAGS },
				 lookup = { "sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP,
					    0 };

	return prog == PRT_PROG_XDP ? &xdp : prog == PRT_PROG_LISTENER ? &lookup : &tc;
}

/* Of one of our hooks, in that hook's section; it gets the type that its stub has. */
static bool take_prog(struct bpf_program *p)
{
	for (size_t i = 0; i < PRT_PROG_MAX; i++) {
		const struct kind *k = kind_of(i);

		if (strcmp(bpf_program__name(p), progs[i]) ||
		    strcmp(bpf_program__section_name(p), k->section))
			continue;
		bpf_program__set_type(p, k->type);
		bpf_program__set_expected_attach_type(p, k->attach);
		bpf_program__set_flags(p, k->flags);
		return true;
	}
	return false;
}

static bool is_ours(const struct bpf_map *m)
{
	const char *name = bpf_map__name(m);

	switch ((unsigned)bpf_map__type(m)) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PROG_ARRAY:
		return true;
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		return !strcmp(name, POL_MAP_SETS) || !strcmp(name, POL_MAP_RINGS);
	case BPF_MAP_TYPE_SOCKMAP:
		return !strcmp(name, POL_MAP_PROXY_LISTENERS);
	default:
		return false;
	}
}

/* An object brings programs for our hooks and plain maps, nothing that acts by being loaded. */
static int check_contents(struct bpf_object *bpf, uint32_t programs, struct pol_err *e)
{
	struct bpf_program *p;
	struct bpf_map *m;

	bpf_object__for_each_program(p, bpf)
	{
		if (!take_prog(p))
			return pol_err(e, -ENOEXEC, "the object has a foreign program '%s'",
				       prt_safe(bpf_program__name(p)));
	}
	for (size_t i = 0; i < PRT_PROG_MAX; i++) {
		p = bpf_object__find_program_by_name(bpf, progs[i]);
		if (!p && i != PRT_PROG_XDP && i != PRT_PROG_LISTENER)
			return pol_err(e, -ENOEXEC, "the object has no program '%s'", progs[i]);
		if (p)
			bpf_program__set_autoload(p, programs & 1u << i);
	}
	bpf_object__for_each_map(m, bpf)
	{
		/* Where it is pinned is our business, not the object's. */
		bpf_map__set_pin_path(m, NULL);
		if (!is_ours(m))
			return pol_err(e, -ENOEXEC, "the object has a map '%s' of a foreign type",
				       prt_safe(bpf_map__name(m)));
	}
	return 0;
}

static int dup_fd(int fd, int *out, const char *what, struct pol_err *e)
{
	*out = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *out < 0 ? pol_err(e, -errno, "'%s': %s", what, strerror(errno)) : 0;
}

static int take_programs(struct prt_gen *g, uint32_t programs, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < PRT_PROG_MAX && !r; i++) {
		struct bpf_program *p = bpf_object__find_program_by_name(g->bpf, progs[i]);

		if (p && programs & 1u << i)
			r = dup_fd(bpf_program__fd(p), &g->prog[i], progs[i], e);
	}
	return r;
}

static int take_maps(struct prt_gen *g, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < PRT_GEN_MAP_MAX && !r; i++) {
		struct bpf_map *m;

		if (!maps[i].map[0])
			continue;
		m = bpf_object__find_map_by_name(g->bpf, maps[i].map);
		if (!m)
			return pol_err(e, -ENOEXEC, "the object has no map '%s'", maps[i].map);
		r = dup_fd(bpf_map__fd(m), &g->fd[i], maps[i].map, e);
	}
	return r;
}

static int make_own(struct prt_gen *g, enum prt_gen_map m, enum bpf_map_type type, uint32_t value,
		    uint32_t max, uint32_t flags, struct pol_err *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);

	g->fd[m] = bpf_map_create(type, maps[m].pin, 4, value, max, &opts);
	if (g->fd[m] < 0)
		return pol_err(e, -errno, "map '%s': cannot create: %s", maps[m].pin,
			       strerror(errno));
	return 0;
}

/*
 * The image of http rules, for the proxy to map; frozen, so that nobody changes what was checked.  Of a
 * policy without http blocks it is a header that says so (polc/http.h: size 0).
 */
static int make_http(struct prt_gen *g, const struct prt_object *o, struct pol_err *e)
{
	static const struct pol_http_image none;
	struct pol_str image = o->http_image.n
				       ? o->http_image
				       : (struct pol_str){ (const char *)&none, sizeof(none) };
	int r = make_own(g, PRT_GEN_HTTP, BPF_MAP_TYPE_ARRAY, (uint32_t)image.n, 1, BPF_F_MMAPABLE,
			 e);

	if (r)
		return r;
	if (bpf_map_update_elem(g->fd[PRT_GEN_HTTP], &(uint32_t){ 0 }, image.p, BPF_ANY) ||
	    bpf_map_freeze(g->fd[PRT_GEN_HTTP]))
		return pol_err(e, -errno, "map '%s': cannot fill: %s", POL_MAP_HTTP,
			       strerror(errno));
	return 0;
}

static int refused(const struct prt_gen *g, int code, struct pol_err *e)
{
	char why[300];

	/*
	 * libbpf goes on without, or, where it could not find out what this kernel knows of them, with less of
	 * them (-E2BIG).  Then each call is gone through anew: the programs are too large.
	 */
	if (code != -EPERM && bpf_object__btf_fd(g->bpf) < 0) {
		pol_err_help(e,
			     "as where memory is short; if it is not, -v shows what libbpf says");
		return pol_err(e, code, "the kernel does not take the types (BTF) of the object");
	}
	prt_quiet_reason(why, sizeof(why));
	if (code == -EPERM)
		pol_err_help(
			e,
			"loading BPF needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in the first user namespace");
	else if (code == -E2BIG)
		pol_err_help(
			e,
			"as where memory was short while libbpf asked what this kernel can: try again; -v shows the kernel's whole log");
	else
		pol_err_help(e, "-v shows the kernel's whole log");
	return pol_err(e, code, "the kernel refused the object: %s%s%s", strerror(-code),
		       why[0] ? ": " : "", prt_safe(why));
}

/*
 * What is reused has the name that the kernel knows: none, if libbpf could not find out, when the map was
 * made, that this kernel takes names (as where memory was short).  A generation's own maps are new.
 */
static bool is_shared(const struct bpf_map *m)
{
	const char *name = bpf_map__name(m);

#define PRT_SHARED_IS(e, n)                                                                        \
	if (!strcmp(name, n))                                                                      \
		return true;
	PRT_SHARED(PRT_SHARED_IS)
#undef PRT_SHARED_IS
	return !name[0];
}

/* ".data.pages" -> "data_pages": bpffs knows no dots. */
static void pin_name(char out[64], const char *map)
{
	snprintf(out, 64, "%s", map + (*map == '.'));
	for (char *p = out; *p; p++) {
		if (*p == '.')
			*p = '_';
	}
}

/* Services have as much room as this host needs (services.h). */
static int set_room(struct prt_gen *g, const char *name, uint32_t max, struct pol_err *e)
{
	struct bpf_map *m = max ? bpf_object__find_map_by_name(g->bpf, name) : NULL;
	int r = m ? bpf_map__set_max_entries(m, max) : 0;

	return r ? pol_err(e, r, "map '%s': cannot have %u elements: %s", name, max, strerror(-r))
		 : 0;
}

static int open_bpf(const struct prt_object *o, uint32_t programs, struct prt_shared *s,
		    struct prt_gen *g, struct pol_err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "polc");
	struct bpf_program *xdp;
	int r;

	prt_quiet_forget();
	g->bpf = bpf_object__open_mem(o->data, o->size, &opts);
	if (!g->bpf)
		return prt_quiet_unread(prt_safe(o->path.p), e);
	r = check_contents(g->bpf, programs, e);
	if (r || !s)
		return r;
	/* As its predecessor's, or no jump leads there. */
	xdp = bpf_object__find_program_by_name(g->bpf, progs[PRT_PROG_XDP]);
	if (xdp && !prt_shared_xdp_joins(s))
		bpf_program__set_expected_attach_type(xdp, BPF_XDP);
	return prt_shared_reuse(s, g->bpf, e);
}

static int load_bpf(struct prt_gen *g, struct pol_err *e)
{
	int r = bpf_object__load(g->bpf);

	if (r)
		return refused(g, r < -4000 ? -ENOEXEC : r, e);
	prt_quiet_forget();
	return 0;
}

int prt_gen_load(const struct prt_object *o, struct prt_shared *s, uint64_t number,
		 uint32_t programs, struct prt_gen *g, struct pol_err *e)
{
	static const struct prt_meta none;
	uint32_t slot[POL_SETS_MAX] = { 0 };
	int r;

	g->number = number;
	g->info.page_room = o->max_pages;
	g->info.verdict_room = o->max_verdicts;
	r = open_bpf(o, programs, s, g, e);
	r = r ? r : set_room(g, POL_MAP_SVC_RING, g->svc_blocks, e);
	r = r ? r : set_room(g, POL_MAP_SVC_BACKENDS, g->svc_backends, e);
	if (!r && s)
		r = prt_sets_places(s, &o->manifest, slot, e);
	r = r ? r : set_constants(g->bpf, number, s ? &s->meta : &none, slot, e);
	r = r ? r : load_bpf(g, e);
	if (!r && s)
		r = prt_shared_take(s, g->bpf, e);
	r = r ? r : take_maps(g, e);
	r = r ? r : take_programs(g, programs, e);
	r = r ? r
	      : make_own(g, PRT_GEN_EP_INFO, BPF_MAP_TYPE_HASH, sizeof(struct pol_ep_info),
			 POL_EP_MAX, BPF_F_NO_PREALLOC, e);
	r = r ? r : make_http(g, o, e);
	r = r ? r : make_own(g, PRT_GEN_INFO, BPF_MAP_TYPE_ARRAY, sizeof(g->info), 1, 0, e);
	return r ? r : map_tables(g, e);
}

int prt_gen_load_over(const struct prt_env *env, const struct prt_object *o, struct prt_shared *s,
		      uint64_t number, uint32_t programs, struct prt_gen *g, struct pol_err *e)
{
	int r = open_bpf(o, programs, s, g, e);
	struct bpf_map *m;

	g->number = number;
	if (r)
		return r; /* there may be no object to ask for maps */
	bpf_object__for_each_map(m, g->bpf)
	{
		int fd POL_CLEANUP(pol_cleanup_fd) = -1;
		char name[64];

		pin_name(name, bpf_map__name(m));
		if (r || is_shared(m))
			continue;
		r = prt_pin_get(env, number, "map", name, &fd, e);
		if (r == -ENOENT)
			pol_err(e, r, "%s: map '%s' of generation %llu is missing", env->bpffs,
				name, (unsigned long long)number);
		else if (!r)
			r = bpf_map__reuse_fd(m, fd);
	}
	r = r ? r : load_bpf(g, e);
	return r ? r : take_programs(g, programs, e);
}

int prt_gen_write_info(struct prt_gen *g, struct pol_err *e)
{
	if (bpf_map_update_elem(g->fd[PRT_GEN_INFO], &(uint32_t){ 0 }, &g->info, BPF_ANY))
		return pol_err(e, -errno, "map 'info': cannot write: %s", strerror(errno));
	return 0;
}

/* ---- pinning --------------------------------------------------------------------------- */

int prt_gen_pin(const struct prt_env *env, const struct prt_gen *g, struct pol_err *e)
{
	struct bpf_map *m;
	int r = prt_bpffs_gen_make(env, g->number, e);

	bpf_object__for_each_map(m, g->bpf)
	{
		char name[64];

		pin_name(name, bpf_map__name(m));
		if (!r && !is_shared(m))
			r = prt_pin(env, g->number, "map", name, bpf_map__fd(m), e);
	}
	for (size_t i = 0; i < PRT_GEN_MAP_MAX && !r; i++) {
		if (!maps[i].map[0])
			r = prt_pin(env, g->number, "map", maps[i].pin, g->fd[i], e);
	}
	for (size_t i = 0; i < PRT_PROG_MAX && !r; i++) {
		if (g->prog[i] >= 0)
			r = prt_pin(env, g->number, "program", progs[i], g->prog[i], e);
	}
	return r;
}

int prt_gen_open(const struct prt_env *env, uint64_t number, bool write, struct prt_gen *g,
		 struct pol_err *e)
{
	int r = 0;

	g->number = number;
	for (size_t i = 0; i < PRT_GEN_MAP_MAX && !r; i++) {
		r = prt_pin_get(env, number, "map", maps[i].pin, &g->fd[i], e);
		if (r == -ENOENT) {
			pol_err_help(e, "`polload remove`, then apply again");
			pol_err(e, r, "%s: map '%s' of generation %llu is missing", env->bpffs,
				maps[i].pin, (unsigned long long)number);
		}
	}
	if (!r && bpf_map_lookup_elem(g->fd[PRT_GEN_INFO], &(uint32_t){ 0 }, &g->info))
		r = pol_err(e, -errno, "map 'info': cannot read: %s", strerror(errno));
	return r || !write ? r : map_tables(g, e);
}

bool prt_gen_uses_http(const struct prt_gen *g)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(g->fd[PRT_GEN_HTTP], &info, &len) &&
	       info.value_size > sizeof(struct pol_http_image);
}

int prt_gen_open_programs(const struct prt_env *env, struct prt_gen *g, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < PRT_PROG_MAX && !r; i++) {
		if (g->prog[i] < 0)
			r = prt_pin_get(env, g->number, "program", progs[i], &g->prog[i], e);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

/* ---- root --------------------------------------------------------------------------------- */

static int enter(int root, const char *map, uint32_t slot, int prog, struct pol_err *e)
{
	if (bpf_map_update_elem(root, &slot, &prog, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot enter a program: %s", map,
			       strerror(errno));
	return 0;
}

int prt_gen_enter_tc(const struct prt_gen *g, enum prt_prog first, const struct prt_shared *s,
		     struct pol_err *e)
{
	uint32_t n = first == PRT_PROG_WATCHED ? POL_HOOK_LO_IN : POL_HOOK_MAX;
	int r = 0;

	for (uint32_t i = 0; i < n && !r; i++)
		r = enter(s->root, POL_MAP_ROOT, (uint32_t)POL_ROOT_SLOT(i, g->number),
			  g->prog[first + i], e);
	return r;
}

int prt_gen_enter_root(const struct prt_gen *g, const struct prt_shared *s, struct pol_err *e)
{
	int xdp = g->prog[POL_HOOK_XDP];
	int r = enter(s->root_xdp, POL_MAP_ROOT_XDP, (uint32_t)POL_ROOT_XDP_SLOT(g->number),
		      xdp >= 0 ? xdp : s->xdp_pass, e);

	return r ? r : prt_gen_enter_tc(g, PRT_PROG_EP_OUT, s, e);
}

int prt_gen_enter_pass(const struct prt_shared *s, uint64_t number, struct pol_err *e)
{
	int pass POL_CLEANUP(pol_cleanup_fd) = -1;
	int r = prt_stub_load_pass_tc(&pass, e);

	r = r ? r
	      : enter(s->root_xdp, POL_MAP_ROOT_XDP, (uint32_t)POL_ROOT_XDP_SLOT(number),
		      s->xdp_pass, e);
	for (uint32_t i = 0; i < POL_HOOK_MAX && !r; i++)
		r = enter(s->root, POL_MAP_ROOT, (uint32_t)POL_ROOT_SLOT(i, number), pass, e);
	return r;
}

static int leave(int root, const char *map, uint32_t slot, struct pol_err *e)
{
	if (bpf_map_delete_elem(root, &slot) && errno != ENOENT)
		return pol_err(e, -errno, "map '%s': cannot clear: %s", map, strerror(errno));
	return 0;
}

int prt_gen_clear_root(const struct prt_shared *s, uint64_t active, struct pol_err *e)
{
	int r = leave(s->root_xdp, POL_MAP_ROOT_XDP, (uint32_t)POL_ROOT_XDP_SLOT(active + 1), e);

	for (uint32_t i = 0; i < POL_HOOK_MAX && !r; i++)
		r = leave(s->root, POL_MAP_ROOT, (uint32_t)POL_ROOT_SLOT(i, active + 1), e);
	return r;
}

int prt_gen_close_endpoints(const struct prt_shared *s, uint64_t active, struct pol_err *e)
{
	int r = leave(s->root, POL_MAP_ROOT, (uint32_t)POL_ROOT_SLOT(POL_HOOK_EP_OUT, active), e);

	return r ? r
		 : leave(s->root, POL_MAP_ROOT, (uint32_t)POL_ROOT_SLOT(POL_HOOK_EP_IN, active), e);
}
