/* SPDX-License-Identifier: GPL-2.0-only */
#include "flows.h"

#include <sys/mman.h>

struct table {
	struct pol_ct_bucket *bucket;
	uint32_t n; /* 0: no object had one, so there are no flows */
};

static int open_table(const struct prt_shared *s, struct table *t, struct pol_err *e)
{
	int fd = s->map[PRT_SHARED_CT];

	*t = (struct table){ 0 };
	return fd < 0 ? 0
		      : prt_map_array(fd, POL_MAP_CT, sizeof(*t->bucket), &t->n,
				      (void **)&t->bucket, e);
}

static void close_table(struct table *t)
{
	if (t->bucket)
		munmap(t->bucket, t->n * sizeof(*t->bucket));
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
