/* SPDX-License-Identifier: GPL-2.0-only */
#include "watch.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "show.h"

void prt_watch_init(struct prt_watch *w)
{
	*w = (struct prt_watch){ .lock = -1, .rings = -1, .lost_fd = -1, .ring_fd = -1 };
}

/* ---- places -------------------------------------------------------------------------- */

static int place_path(char out[PRT_PATH], const struct prt_env *env, unsigned at, struct pol_err *e)
{
	char name[32];

	snprintf(name, sizeof(name), PRT_BPFFS_READER "%u", at);
	return prt_bpffs_path(out, env, 0, name, e);
}

/* 0: *fd is the lock; -EWOULDBLOCK: somebody has it. */
static int take_place(const char *path, int *fd)
{
	for (;;) {
		int dir POL_CLEANUP(pol_cleanup_fd) = -1;
		struct stat mine, now;

		if (mkdir(path, 0700) && errno != EEXIST)
			return -errno;
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (dir < 0 && errno == ENOENT)
			continue; /* who left it took the folder away */
		if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB))
			return -errno;
		if (fstat(dir, &mine))
			return -errno;
		if (lstat(path, &now) || mine.st_ino != now.st_ino)
			continue;
		*fd = POL_TAKE_FD(dir);
		return 0;
	}
}

static int find_place(const struct prt_env *env, struct prt_watch *w, struct pol_err *e)
{
	for (w->at = 0; w->at < POL_WATCHERS; w->at++) {
		char path[PRT_PATH];
		int r = place_path(path, env, w->at, e);

		r = r ? r : take_place(path, &w->lock);
		if (!r || r != -EWOULDBLOCK)
			return r ? pol_err(e, r, "%s: %s", path, strerror(-r)) : 0;
	}
	pol_err_help(e, "end one of them: each has a ring of its own");
	return pol_err(e, -EBUSY, "%d others read the events already", POL_WATCHERS);
}

unsigned prt_watch_count(const struct prt_env *env, const struct prt_shared *s)
{
	const uint32_t only = 0;
	struct pol_watch_set set;
	unsigned n = 0;

	if (s->map[PRT_SHARED_WATCH] < 0 ||
	    bpf_map_lookup_elem(s->map[PRT_SHARED_WATCH], &only, &set))
		return 0;
	for (unsigned at = 0; at < POL_WATCHERS; at++) {
		int fd POL_CLEANUP(pol_cleanup_fd) = -1;
		char path[PRT_PATH];

		if (place_path(path, env, at, NULL))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		/* who has a place and is told of nothing yet is about to be */
		n += fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && set.at[at].kinds;
	}
	return n;
}

/* ---- asking --------------------------------------------------------------------------- */

/* One word that packets look at first; other readers may change it at the same time. */
static void ask(struct pol_watch_set *set)
{
	uint32_t before, kinds;

	do {
		before = __atomic_load_n(&set->kinds, __ATOMIC_ACQUIRE);
		kinds = 0;
		for (unsigned i = 0; i < POL_WATCHERS; i++)
			kinds |= __atomic_load_n(&set->at[i].kinds, __ATOMIC_ACQUIRE);
	} while (!__atomic_compare_exchange_n(&set->kinds, &before, kinds, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_ACQUIRE));
}

void prt_watch_ask(struct prt_watch *w, const struct pol_watch *want)
{
	struct pol_watch *mine = &w->set->at[w->at], quiet = *want;

	quiet.kinds = 0;
	__atomic_store_n(&mine->kinds, 0, __ATOMIC_SEQ_CST);
	*mine = quiet;
	__atomic_store_n(&mine->kinds, want->kinds, __ATOMIC_RELEASE);
	ask(w->set);
}

/* ---- opening ----------------------------------------------------------------------------- */

static int taken(void *ctx, void *data, size_t size)
{
	struct prt_watch *w = ctx;
	struct pol_event v;

	if (size < sizeof(v))
		return 0;
	memcpy(&v, data, sizeof(v));
	w->take(w->ctx, &v);
	return 0;
}

static int dup_map(const struct prt_shared *s, enum prt_shared_map m, const char *name, int *fd,
		   struct pol_err *e)
{
	if (s->map[m] < 0)
		return pol_err(e, -ENOENT, "the policy in force reports no events");
	*fd = fcntl(s->map[m], F_DUPFD_CLOEXEC, 3);
	return *fd < 0 ? pol_err(e, -errno, "map '%s': %s", name, strerror(errno)) : 0;
}

static int open_maps(const struct prt_shared *s, struct prt_watch *w, struct pol_err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int r = dup_map(s, PRT_SHARED_RINGS, POL_MAP_RINGS, &w->rings, e);
	void *p;

	r = r ? r : dup_map(s, PRT_SHARED_WATCH_LOST, POL_MAP_WATCH_LOST, &w->lost_fd, e);
	if (r)
		return r;
	if (s->map[PRT_SHARED_WATCH] < 0)
		return pol_err(e, -ENOENT, "the policy in force reports no events");
	p = mmap(NULL, (sizeof(*w->set) + page - 1) / page * page, PROT_READ | PROT_WRITE,
		 MAP_SHARED, s->map[PRT_SHARED_WATCH], 0);
	if (p == MAP_FAILED)
		return pol_err(e, -errno, "map '%s': cannot map into memory: %s", POL_MAP_WATCH,
			       strerror(errno));
	w->set = p;
	return 0;
}

static int open_ring(struct prt_watch *w, struct pol_err *e)
{
	w->ring_fd =
		bpf_map_create(BPF_MAP_TYPE_RINGBUF, "polc_reader", 0, 0, PRT_WATCH_RING, NULL);
	if (w->ring_fd < 0)
		return pol_err(e, -errno, "cannot make a ring for events: %s", strerror(errno));
	w->ring = ring_buffer__new(w->ring_fd, taken, w, NULL);
	if (!w->ring)
		return pol_err(e, -errno, "cannot read a ring for events: %s", strerror(errno));
	/* waits until no packet writes to the ring of a reader that died here */
	if (bpf_map_update_elem(w->rings, &w->at, &w->ring_fd, BPF_ANY))
		return pol_err(e, -errno, "map '%s': cannot write: %s", POL_MAP_RINGS,
			       strerror(errno));
	return 0;
}

static int read_lost(const struct prt_watch *w, uint64_t lost[POL_EVENT_KINDS], struct pol_err *e)
{
	int cpus;
	struct pol_watch_lost *v POL_CLEANUP(pol_cleanup_free) =
		prt_show_room(sizeof(*v), &cpus, e);

	memset(lost, 0, POL_EVENT_KINDS * sizeof(*lost));
	if (!v)
		return -ENOMEM;
	if (bpf_map_lookup_elem(w->lost_fd, &w->at, v))
		return pol_err(e, -errno, "map '%s': %s", POL_MAP_WATCH_LOST, strerror(errno));
	for (int c = 0; c < cpus; c++)
		for (unsigned k = 0; k < POL_EVENT_KINDS; k++)
			lost[k] += v[c].lost[k];
	return 0;
}

int prt_watch_open(const struct prt_env *env, const struct prt_shared *s,
		   const struct pol_watch *want, prt_event_fn take, void *ctx, struct prt_watch *w,
		   struct pol_err *e)
{
	int r = open_maps(s, w, e);

	w->take = take;
	w->ctx = ctx;
	r = r ? r : find_place(env, w, e);
	if (!r) {
		/* of a reader that died here */
		__atomic_store_n(&w->set->at[w->at].kinds, 0, __ATOMIC_SEQ_CST);
		ask(w->set);
	}
	r = r ? r : open_ring(w, e);
	r = r ? r : read_lost(w, w->before, e);
	if (!r)
		prt_watch_ask(w, want);
	return r;
}

/* ---- reading ------------------------------------------------------------------------------ */

int prt_watch_fd(const struct prt_watch *w)
{
	return ring_buffer__epoll_fd(w->ring);
}

int prt_watch_poll(struct prt_watch *w, int ms, struct pol_err *e)
{
	int n = ms ? ring_buffer__poll(w->ring, ms) : ring_buffer__consume(w->ring);

	if (n < 0 && n != -EINTR)
		return pol_err(e, n, "cannot read events: %s", strerror(-n));
	return 0;
}

int prt_watch_lost(const struct prt_watch *w, uint64_t lost[POL_EVENT_KINDS], struct pol_err *e)
{
	int r = read_lost(w, lost, e);

	for (unsigned k = 0; k < POL_EVENT_KINDS && !r; k++)
		lost[k] -= w->before[k];
	return r;
}

int prt_watch_stop(struct prt_watch *w, struct pol_err *e)
{
	if (!w->set)
		return 0;
	__atomic_store_n(&w->set->at[w->at].kinds, 0, __ATOMIC_SEQ_CST);
	ask(w->set);
	/* who saw our wish writes until its program ends */
	return prt_grace(e);
}

void prt_watch_close(const struct prt_env *env, struct prt_watch *w)
{
	char path[PRT_PATH];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (w->set && w->lock >= 0) {
		__atomic_store_n(&w->set->at[w->at].kinds, 0, __ATOMIC_SEQ_CST);
		ask(w->set);
		bpf_map_delete_elem(w->rings, &w->at);
	}
	ring_buffer__free(w->ring);
	if (w->set)
		munmap(w->set, (sizeof(*w->set) + page - 1) / page * page);
	if (w->lock >= 0 && !place_path(path, env, w->at, NULL))
		rmdir(path); /* `remove` may have been quicker */
	pol_cleanup_fd(&w->lock);
	pol_cleanup_fd(&w->rings);
	pol_cleanup_fd(&w->lost_fd);
	pol_cleanup_fd(&w->ring_fd);
	prt_watch_init(w);
}
