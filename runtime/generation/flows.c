/* SPDX-License-Identifier: GPL-2.0-only */
#include "flows.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct table {
	struct pol_ct_bucket *bucket;
	size_t n, bytes;
};

static int open_table(const struct prt_shared *s, struct table *t, struct pol_err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = s->map[PRT_SHARED_CT];
	void *p;

	*t = (struct table){ 0 };
	if (fd < 0)
		return 0; /* no object had one: no flows */
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return pol_err(e, -errno, "map '%s': %s", POL_MAP_CT, strerror(errno));
	if (info.value_size != sizeof(struct pol_ct_bucket))
		return pol_err(e, -EPROTONOSUPPORT, "map '%s': of another version", POL_MAP_CT);
	t->bytes = ((size_t)info.max_entries * sizeof(*t->bucket) + page - 1) / page * page;
	p = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return pol_err(e, -errno, "map '%s': cannot map into memory: %s", POL_MAP_CT,
			       strerror(errno));
	t->bucket = p;
	t->n = info.max_entries;
	return 0;
}

static void close_table(struct table *t)
{
	if (t->bucket)
		munmap(t->bucket, t->bytes);
}

unsigned prt_flow_timeout(enum pol_ct_state state)
{
	switch (state) {
	case POL_CT_SYN_SENT:
		return POL_CT_T_SYN_SENT;
	case POL_CT_SYN_RECV:
		return POL_CT_T_SYN_RECV;
	case POL_CT_ESTABLISHED:
		return POL_CT_T_ESTABLISHED;
	case POL_CT_CLOSING:
		return POL_CT_T_CLOSING;
	case POL_CT_CLOSED:
		return POL_CT_T_CLOSED;
	case POL_CT_UNREPLIED:
		return POL_CT_T_UNREPLIED;
	case POL_CT_REPLYING:
		return POL_CT_T_REPLYING;
	case POL_CT_FREE:
	case POL_CT_STATE_MAX:
		return 0;
	}
	return 0;
}

const char *prt_flow_state_name(uint8_t state)
{
	static const char *const names[POL_CT_STATE_MAX] = {
		[POL_CT_FREE] = "free",           [POL_CT_SYN_SENT] = "syn_sent",
		[POL_CT_SYN_RECV] = "syn_recv",   [POL_CT_ESTABLISHED] = "established",
		[POL_CT_CLOSING] = "closing",     [POL_CT_CLOSED] = "closed",
		[POL_CT_UNREPLIED] = "unreplied", [POL_CT_REPLYING] = "replying",
	};

	return state < POL_CT_STATE_MAX ? names[state] : "unknown";
}

static bool live(const struct pol_ct_entry *f, uint32_t now)
{
	uint32_t age = now - f->seen;

	if (f->state == POL_CT_FREE || f->state >= POL_CT_STATE_MAX)
		return false;
	/* The clocks of two CPUs may differ: a future of some seconds is now. */
	return age > 0x80000000u || age <= prt_flow_timeout((enum pol_ct_state)f->state);
}

int prt_flows_read(const struct prt_shared *s, prt_flows *out, struct pol_err *e)
{
	uint32_t now = (uint32_t)(prt_env_now_ns() / 1000000000u);
	struct table t;
	int r = open_table(s, &t, e);

	for (size_t i = 0; i < t.n && !r; i++) {
		for (size_t k = 0; k < POL_CT_WAYS; k++) {
			uint64_t *tag = (uint64_t *)&t.bucket[i].tag[k];
			uint64_t before = __atomic_load_n(tag, __ATOMIC_ACQUIRE);
			struct pol_ct_entry f;

			if (!(before & POL_TAG_USED) || before & POL_TAG_BUSY)
				continue;
			memcpy(&f, &t.bucket[i].entry[k], sizeof(f));
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			if (__atomic_load_n(tag, __ATOMIC_RELAXED) == before && live(&f, now))
				*pol_vec_push(out) = f;
		}
	}
	close_table(&t);
	return r;
}

static bool of_member(const struct pol_ct_entry *f, const struct prt_member *m)
{
	for (size_t i = 0; i < m->addrs.n; i++) {
		if (!memcmp(&f->addr[0], &m->addrs.v[i].addr, sizeof(f->addr[0])) ||
		    !memcmp(&f->addr[1], &m->addrs.v[i].addr, sizeof(f->addr[1])))
			return true;
	}
	return false;
}

int prt_flows_forget(const struct prt_shared *s, const struct prt_member *m, struct pol_err *e)
{
	struct table t;
	int r = open_table(s, &t, e);

	for (size_t i = 0; i < t.n && !r; i++) {
		for (size_t k = 0; k < POL_CT_WAYS; k++) {
			struct pol_ct_entry *f = &t.bucket[i].entry[k];

			if (t.bucket[i].tag[k] & POL_TAG_USED && of_member(f, m))
				__atomic_store_n(&f->gen, 0, __ATOMIC_RELAXED);
		}
	}
	close_table(&t);
	return r;
}
