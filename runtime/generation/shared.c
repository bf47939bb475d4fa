/* SPDX-License-Identifier: GPL-2.0-only */
#include "shared.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "runtime/input/object.h"
#include "stub.h"

#define HOOKS_MAX 65536u
#define PIN_META "meta"
#define PIN_HOOKS "hooks"
#define PIN_SET_NAMES "set_names" /* place in `sets` -> PRT_SET_NAME bytes */

#define PRT_SHARED_NAME(e, n) [PRT_SHARED_##e] = n,
static const char *const names[PRT_SHARED_MAX] = { PRT_SHARED(PRT_SHARED_NAME) };
#undef PRT_SHARED_NAME

void prt_shared_init(struct prt_shared *s)
{
	memset(s, 0, sizeof(*s));
	s->active = s->root = s->root_xdp = s->joiner = s->xdp_pass = s->meta_fd = s->hooks =
		s->set_names = -1;
	for (size_t i = 0; i < PRT_SHARED_MAX; i++)
		s->map[i] = -1;
	for (size_t i = 0; i < POL_HOOKS; i++)
		s->stub[i] = -1;
}

void prt_shared_close(struct prt_shared *s)
{
	if (s->word)
		munmap(s->word, (size_t)sysconf(_SC_PAGESIZE));
	pol_cleanup_fd(&s->active);
	pol_cleanup_fd(&s->root);
	pol_cleanup_fd(&s->root_xdp);
	pol_cleanup_fd(&s->joiner);
	pol_cleanup_fd(&s->xdp_pass);
	pol_cleanup_fd(&s->meta_fd);
	pol_cleanup_fd(&s->hooks);
	pol_cleanup_fd(&s->set_names);
	for (size_t i = 0; i < PRT_SHARED_MAX; i++)
		pol_cleanup_fd(&s->map[i]);
	for (size_t i = 0; i < POL_HOOKS; i++)
		pol_cleanup_fd(&s->stub[i]);
	prt_shared_init(s);
}

/* ---- the word ------------------------------------------------------------------ */

static int map_word(struct prt_shared *s, struct pol_err *e)
{
	void *p = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		       s->active, 0);

	if (p == MAP_FAILED)
		return pol_err(e, -errno, "map '%s': cannot map into memory: %s", POL_MAP_ACTIVE,
			       strerror(errno));
	s->word = p;
	return 0;
}

bool prt_shared_xdp_joins(const struct prt_shared *s)
{
	return s->meta.layout > PRT_LAYOUT_NO_JOINING;
}

uint64_t prt_shared_active(const struct prt_shared *s)
{
	return s->word ? __atomic_load_n(s->word, __ATOMIC_ACQUIRE) : 0;
}

void prt_shared_flip(struct prt_shared *s, uint64_t gen)
{
	__atomic_store_n(s->word, gen, __ATOMIC_SEQ_CST);
}

int prt_shared_write_meta(struct prt_shared *s, struct pol_err *e)
{
	if (bpf_map_update_elem(s->meta_fd, &(uint32_t){ 0 }, &s->meta, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot write: %s", PIN_META, strerror(errno));
	return 0;
}

/* ---- what is pinned --------------------------------------------------------------- */

static int check_meta(const struct prt_env *env, struct prt_shared *s, struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	struct prt_netns here;
	int r;

	if (bpf_obj_get_info_by_fd(s->meta_fd, &info, &len))
		return pol_err(e, -errno, "map '%s': %s", PIN_META, strerror(errno));
	if (info.value_size != sizeof(s->meta) ||
	    bpf_map_lookup_elem(s->meta_fd, &(uint32_t){ 0 }, &s->meta) ||
	    (s->meta.layout != PRT_LAYOUT && s->meta.layout != PRT_LAYOUT_NO_JOINING)) {
		pol_err_help(
			e,
			"what is in force stays so; to change it: `polload remove`, of the version that made it if this one's refuses, then apply");
		return pol_err(
			e, -EPROTONOSUPPORT,
			"%s: made by another version of polload, with another layout of what outlives it: live connections cannot be taken over",
			env->bpffs);
	}
	s->meta.abi = POL_ABI_VERSION; /* of who writes it next */
	r = prt_env_netns(&here, e);
	if (r)
		return r;
	if (here.ino == s->meta.netns.ino && here.dev == s->meta.netns.dev)
		return 0;
	pol_err_help(
		e,
		"run polload there, or use a folder of its own with --bpffs; if that namespace is gone: rm -r %s",
		env->bpffs);
	return pol_err(e, -EXDEV, "%s: serves another network namespace", env->bpffs);
}

static int open_pins(const struct prt_env *env, struct prt_shared *s, struct pol_err *e)
{
	int r = prt_pin_get(env, 0, "map", POL_MAP_ACTIVE, &s->active, e);

	r = r ? r : prt_pin_get(env, 0, "map", PIN_META, &s->meta_fd, e);
	/* Before what another version may lack. */
	r = r ? r : check_meta(env, s, e);
	r = r ? r : prt_pin_get(env, 0, "map", PIN_HOOKS, &s->hooks, e);
	r = r ? r : prt_pin_get(env, 0, "map", PIN_SET_NAMES, &s->set_names, e);
	r = r ? r : prt_pin_get(env, 0, "map", POL_MAP_ROOT, &s->root, e);
	r = r ? r : prt_pin_get(env, 0, "map", POL_MAP_ROOT_XDP, &s->root_xdp, e);
	r = r ? r : prt_pin_get(env, 0, "program", PRT_XDP_PASS, &s->xdp_pass, e);
	for (int i = 0; i < POL_HOOKS && !r; i++)
		r = prt_pin_get(env, 0, "program", prt_stub_name((enum pol_hook)i), &s->stub[i], e);
	if (!r)
		r = prt_pin_get(env, 0, "program", PRT_XDP_JOINER, &s->joiner, e);
	if (r == -ENOENT && s->stub[POL_HOOKS - 1] >= 0) /* no dispatcher was met yet */
		r = 0;
	for (size_t i = 0; i < PRT_SHARED_MAX && !r; i++) {
		r = prt_pin_get(env, 0, "map", names[i], &s->map[i], e);
		s->pinned[i] = !r;
		if (r == -ENOENT) /* no object had it yet */
			r = 0;
	}
	return r;
}

int prt_shared_open(const struct prt_env *env, struct prt_shared *s, struct pol_err *e)
{
	int r = open_pins(env, s, e);

	r = r ? r : map_word(s, e);
	if (!r && (!prt_shared_active(s) || prt_shared_active(s) == s->meta.removed))
		r = -ENOENT;
	if (r)
		prt_shared_close(s);
	return r;
}

int prt_shared_open_hooks(const struct prt_env *env, int *hooks, struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int r = prt_pin_get(env, 0, "map", PIN_HOOKS, hooks, e);

	if (r)
		return r;
	if (!bpf_obj_get_info_by_fd(*hooks, &info, &len) && info.key_size == sizeof(uint32_t) &&
	    info.value_size == sizeof(struct prt_hook))
		return 0;
	pol_err_help(e, "run `remove` of the polload that made it");
	return pol_err(e, -EPROTONOSUPPORT,
		       "%s: another version of polload noted its hooks otherwise", env->bpffs);
}

/* ---- making them --------------------------------------------------------------------- */

static int make(const char *name, enum bpf_map_type type, uint32_t key, uint32_t value,
		uint32_t max, uint32_t flags, int *fd, struct pol_err *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	int got = bpf_map_create(type, name, key, value, max, &opts);

	if (got < 0)
		return pol_err(e, -errno, "map '%s': cannot create: %s", name, strerror(errno));
	*fd = got;
	return 0;
}

int prt_shared_make(struct prt_shared *s, struct pol_err *e)
{
	int r = make(POL_MAP_ACTIVE, BPF_MAP_TYPE_ARRAY, 4, 8, 1, BPF_F_MMAPABLE, &s->active, e);

	r = r ? r
	      : make(POL_MAP_ROOT, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, POL_HOOK_MAX * 2, 0, &s->root, e);
	r = r ? r : make(POL_MAP_ROOT_XDP, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 2, 0, &s->root_xdp, e);
	r = r ? r : make(PIN_META, BPF_MAP_TYPE_ARRAY, 4, sizeof(s->meta), 1, 0, &s->meta_fd, e);
	r = r ? r
	      : make(PIN_HOOKS, BPF_MAP_TYPE_HASH, 4, sizeof(struct prt_hook), HOOKS_MAX,
		     BPF_F_NO_PREALLOC, &s->hooks, e);
	r = r ? r
	      : make(PIN_SET_NAMES, BPF_MAP_TYPE_ARRAY, 4, PRT_SET_NAME, POL_SETS_MAX, 0,
		     &s->set_names, e);
	r = r ? r
	      : make(POL_MAP_SVC_BALANCERS, BPF_MAP_TYPE_HASH, sizeof(struct pol_addr), 4,
		     POL_SVC_BALANCERS_MAX, 0, &s->map[PRT_SHARED_SVC_BALANCERS], e);
	r = r ? r
	      : make(POL_MAP_SVC_SOURCE, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct pol_svc_source), 2, 0,
		     &s->map[PRT_SHARED_SVC_SOURCE], e);
	r = r ? r
	      : make(POL_MAP_SVC_STATE, BPF_MAP_TYPE_HASH, sizeof(struct pol_svc_state_key),
		     sizeof(struct pol_svc_state), POL_BACKENDS_MAX, BPF_F_NO_PREALLOC,
		     &s->map[PRT_SHARED_SVC_STATE], e);
	r = r ? r : map_word(s, e);
	if (r)
		return r;
	s->meta = (struct prt_meta){ .abi = POL_ABI_VERSION,
				     .layout = PRT_LAYOUT,
				     .next_ep = 1,
				     .next_slot = 1,
				     .next_incarnation = 1 };
	if (getrandom(s->meta.seed, sizeof(s->meta.seed), 0) != sizeof(s->meta.seed))
		return pol_err(e, -EIO, "cannot get random bytes from the kernel");
	r = prt_env_netns(&s->meta.netns, e);
	return r ? r : prt_shared_write_meta(s, e);
}

int prt_shared_make_stubs(struct prt_shared *s, struct pol_err *e)
{
	int r = 0;

	if (s->map[PRT_SHARED_DROPS] < 0)
		return pol_err(e, -ENOEXEC, "the object has no map '%s'", POL_MAP_DROPS);
	for (int i = 0; i < POL_HOOKS && !r; i++) {
		if (s->stub[i] < 0)
			r = prt_stub_load((enum pol_hook)i, s->active,
					  i == POL_HOOK_XDP ? s->root_xdp : s->root,
					  s->map[PRT_SHARED_DROPS], &s->stub[i], e);
	}
	return r || s->xdp_pass >= 0 ? r : prt_stub_load_pass(&s->xdp_pass, e);
}

int prt_shared_pin_new(const struct prt_env *env, struct prt_shared *s, struct pol_err *e)
{
	int r = 0;

	for (size_t i = 0; i < PRT_SHARED_MAX && !r; i++) {
		if (s->map[i] < 0 || s->pinned[i])
			continue;
		r = prt_pin(env, 0, "map", names[i], s->map[i], e);
		s->pinned[i] = !r;
	}
	return r;
}

int prt_shared_pin_all(const struct prt_env *env, struct prt_shared *s, struct pol_err *e)
{
	int r = prt_pin(env, 0, "map", PIN_HOOKS, s->hooks, e);

	r = r ? r : prt_pin(env, 0, "map", PIN_META, s->meta_fd, e);
	r = r ? r : prt_pin(env, 0, "map", PIN_SET_NAMES, s->set_names, e);
	r = r ? r : prt_pin(env, 0, "map", POL_MAP_ROOT, s->root, e);
	r = r ? r : prt_pin(env, 0, "map", POL_MAP_ROOT_XDP, s->root_xdp, e);
	r = r ? r : prt_pin(env, 0, "program", PRT_XDP_PASS, s->xdp_pass, e);
	for (int i = 0; i < POL_HOOKS && !r; i++)
		r = prt_pin(env, 0, "program", prt_stub_name((enum pol_hook)i), s->stub[i], e);
	r = r ? r : prt_shared_pin_new(env, s, e);
	return r ? r : prt_pin(env, 0, "map", POL_MAP_ACTIVE, s->active, e);
}

/* ---- and the objects -------------------------------------------------------------------- */

/* libbpf takes over the shape of a reused map without a word, so it is compared here. */
static int same_shape(const char *name, const struct bpf_map *m, int fd, struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return pol_err(e, -errno, "map '%s': %s", name, strerror(errno));
	if (info.type == (uint32_t)bpf_map__type(m) && info.key_size == bpf_map__key_size(m) &&
	    info.value_size == bpf_map__value_size(m) &&
	    info.max_entries == bpf_map__max_entries(m) && info.map_flags == bpf_map__map_flags(m))
		return 0;
	pol_err_help(
		e,
		"compile the policy with the same version of polc, or `polload remove` first (live flows end)");
	return pol_err(e, -EPROTONOSUPPORT,
		       "map '%s': the object wants %u entries of %u bytes, in force are %u of %u",
		       name, bpf_map__max_entries(m), bpf_map__value_size(m), info.max_entries,
		       info.value_size);
}

int prt_shared_reuse(const struct prt_shared *s, struct bpf_object *o, struct pol_err *e)
{
	for (size_t i = 0; i < PRT_SHARED_MAX; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(o, names[i]);
		int r;

		if (!m || s->map[i] < 0)
			continue;
		r = same_shape(names[i], m, s->map[i], e);
		if (r)
			return r;
		r = bpf_map__reuse_fd(m, s->map[i]);
		if (r)
			return pol_err(e, r, "map '%s': cannot reuse: %s", names[i], strerror(-r));
	}
	return 0;
}

int prt_shared_take(struct prt_shared *s, const struct bpf_object *o, struct pol_err *e)
{
	for (size_t i = 0; i < PRT_SHARED_MAX; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(o, names[i]);

		if (!m || s->map[i] >= 0)
			continue;
		s->map[i] = fcntl(bpf_map__fd(m), F_DUPFD_CLOEXEC, 3);
		if (s->map[i] < 0)
			return pol_err(e, -errno, "map '%s': %s", names[i], strerror(errno));
	}
	return 0;
}

/* ---- arrays in memory ---------------------------------------------------------------------- */

int prt_map_array(int fd, const char *name, size_t value, uint32_t *n, void **out,
		  struct pol_err *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	void *p;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return pol_err(e, -errno, "map '%s': %s", name, strerror(errno));
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != value ||
	    !(info.map_flags & BPF_F_MMAPABLE))
		return pol_err(e, -EPROTONOSUPPORT, "map '%s': of another version", name);
	p = mmap(NULL, info.max_entries * value, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return pol_err(e, -errno, "map '%s': cannot map into memory: %s", name,
			       strerror(errno));
	*n = info.max_entries;
	*out = p;
	return 0;
}

/* ---- grace -------------------------------------------------------------------------------- */

int prt_grace(struct pol_err *e)
{
	int inner POL_CLEANUP(pol_cleanup_fd) = -1;
	int outer POL_CLEANUP(pol_cleanup_fd) = -1;
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int r = make("grace_inner", BPF_MAP_TYPE_ARRAY, 4, 4, 1, 0, &inner, e);

	if (r)
		return r;
	opts.inner_map_fd = (uint32_t)inner;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", 4, 4, 1, &opts);
	if (outer < 0 || bpf_map_update_elem(outer, &(uint32_t){ 0 }, &inner, BPF_ANY))
		return pol_err(e, -errno, "cannot wait for running programs to end: %s",
			       strerror(errno));
	return 0;
}
