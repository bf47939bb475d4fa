// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <time.h>

#include "fixture.h"

static struct place places[] = {
	{ "a", "pka0", { 2, 0, 0, 0, 0, 0x0a }, 1, 1, 0, 0 },
	{ "b", "pkb0", { 2, 0, 0, 0, 0, 0x0b }, 1, 2, 0, 0 },
	{ "c", "pkc0", { 2, 0, 0, 0, 0, 0x0c }, 0, 3, 0, 0 },
	{ "up", "pku0", { 2, 0, 0, 0, 0, 0x01 }, 0, 0, 0, 0 },
	{ "none", "pkn0", { 2, 0, 0, 0, 0, 0x0d }, 0, 0, 0, 0 },
};

static const struct {
	const char *addr;
	struct pol_owner owner;
	unsigned column;
	const char *place;
} owners[] = {
	{ "::ffff:10.1.0.1", { .ep = 1, .slot = 1, .entity = POL_ENTITY_ENDPOINT }, COL_A, "a" },
	{ "fd00:1::1", { .ep = 1, .slot = 2, .entity = POL_ENTITY_ENDPOINT }, COL_A, "a" },
	{ "::ffff:10.1.0.2", { .ep = 2, .slot = 3, .entity = POL_ENTITY_ENDPOINT }, COL_B, "b" },
	{ "fd00:1::2", { .ep = 2, .slot = 4, .entity = POL_ENTITY_ENDPOINT }, COL_B, "b" },
	{ "::ffff:10.1.0.3", { .ep = 3, .slot = 5, .entity = POL_ENTITY_ENDPOINT }, 0, "c" },
	{ "fd00:1::3", { .ep = 3, .slot = 6, .entity = POL_ENTITY_ENDPOINT }, 0, "c" },
	{ "::ffff:10.1.9.9", { .ep = 9, .slot = 7, .entity = POL_ENTITY_ENDPOINT }, COL_A, NULL },
	{ "::ffff:10.1.0.254", { .entity = POL_ENTITY_HOST }, 0, NULL },
	{ "fd00:1::fe", { .entity = POL_ENTITY_HOST }, 0, NULL },
	{ "::ffff:192.0.2.9", { .entity = POL_ENTITY_NODE }, 0, NULL },
};

static const char *const shared[] = {
	"ep_by_if", "if_near", "ep_by_addr", "ct",    "frags",
	"watch",    "rings",   "watch_lost", "drops", "scratch",
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

struct place *world_place(const char *name)
{
	for (size_t i = 0; i < LEN(places); i++)
		if (!strcmp(places[i].name, name))
			return &places[i];
	return NULL;
}

int world_map(struct world *w, const char *name)
{
	return bpf_object__find_map_fd_by_name(w->obj[w->gen], name);
}

static int run_ip(const char *format, const char *device)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), format, device, device);
	return system(cmd) ? -ENODEV : 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

/* A network namespace of our own, so that device names can be ours; and silent. */
static int make_devices(void)
{
	char peer[IF_NAMESIZE];
	int err = 0;

	if (unshare(CLONE_NEWNET))
		return -errno;
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	for (size_t i = 0; i < LEN(places) && !err; i++) {
		snprintf(peer, sizeof(peer), "%.3s1", places[i].device);
		err = run_ip("ip link add %s type veth peer name %.3s1", places[i].device) ?:
		      run_ip("ip link set %s up", places[i].device) ?: run_ip("ip link set %s up", peer);
		places[i].ifindex = if_nametoindex(places[i].device);
		places[i].peer = if_nametoindex(peer);
	}
	return err;
}

static int attach(const struct place *p, enum bpf_tc_attach_point point, int prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = p->ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog, .handle = 1, .priority = 1);

	return bpf_tc_attach(&hook, &opts);
}

static int attach_all(struct world *w)
{
	int err = 0;

	for (size_t i = 0; i < LEN(places) && !err; i++) {
		int up = !strcmp(places[i].name, "up");
		LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = places[i].ifindex,
			    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

		err = bpf_tc_hook_create(&both)
			      ?: attach(&places[i], BPF_TC_INGRESS,
					w->prog[0][up ? POL_HOOK_UPLINK_IN : POL_HOOK_EP_OUT]);
		if (!err && !up)
			err = attach(&places[i], BPF_TC_EGRESS, w->prog[0][POL_HOOK_EP_IN]);
	}
	w->sock = socket(AF_PACKET, SOCK_RAW, 0);
	return err ? err : w->sock < 0 ? -errno : 0;
}

/* const volatile variables live in .rodata at the offset that BTF says. */
static int set_generation(struct bpf_object *obj, __u64 gen)
{
	struct btf *btf = bpf_object__btf(obj);
	struct bpf_map *map;
	int sec = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *t = sec > 0 ? btf__type_by_id(btf, sec) : NULL;
	size_t size;

	bpf_object__for_each_map(map, obj)
	{
		const void *old = strstr(bpf_map__name(map), ".rodata")
					  ? bpf_map__initial_value(map, &size)
					  : NULL;
		char *data = old ? memcpy(malloc(size), old, size) : NULL;
		int err = -ENOENT;

		for (int i = 0; t && data && i < btf_vlen(t); i++) {
			const struct btf_var_secinfo *v = btf_var_secinfos(t) + i;
			const struct btf_type *var = btf__type_by_id(btf, v->type);

			if (!strcmp(btf__name_by_offset(btf, var->name_off), POL_VAR_GENERATION)) {
				memcpy(data + v->offset, &gen, sizeof(gen));
				err = bpf_map__set_initial_value(map, data, size);
			}
		}
		free(data);
		if (!err)
			return 0;
	}
	return -ENOENT;
}

static int load(struct world *w, int g, const char *object)
{
	static const char *const progs[] = {
		POL_PROG_EP_OUT, POL_PROG_EP_IN,      POL_PROG_UPLINK_IN,
		POL_PROG_LO_IN,  POL_PROG_UPLINK_OUT,
	};
	int err;

	w->obj[g] = bpf_object__open_file(object, NULL);
	if (!w->obj[g])
		return -errno;
	err = set_generation(w->obj[g], g + 1);
	/* one of LRU is full only by accident; this one when it is full */
	bpf_map__set_type(bpf_object__find_map_by_name(w->obj[g], "proxy_onward"),
			  BPF_MAP_TYPE_HASH);
	for (size_t i = 0; g && !err && i < LEN(shared); i++)
		err = bpf_map__reuse_fd(bpf_object__find_map_by_name(w->obj[g], shared[i]),
					bpf_object__find_map_fd_by_name(w->obj[0], shared[i]));
	if (!err)
		err = bpf_object__load(w->obj[g]);
	for (int i = 0; !err && i < POL_HOOK_MAX; i++)
		w->prog[g][i] =
			bpf_program__fd(bpf_object__find_program_by_name(w->obj[g], progs[i]));
	return err;
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct world *w = ctx;

	if (size >= sizeof(w->last)) {
		memcpy(&w->last, data, sizeof(w->last));
		w->events[w->last.kind % POL_EVENT_KINDS]++;
	}
	return 0;
}

/* A reader of all events but those of connections that nobody asked to log. */
static int open_ring(struct world *w)
{
	struct pol_watch_set set = { .kinds = 1u << POL_EVENT_DROP | 1u << POL_EVENT_AUDIT |
					      1u << POL_EVENT_LOG };
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 1u << 19, NULL);
	__u32 zero = 0;

	set.at[0].kinds = set.kinds;
	if (fd < 0 || bpf_map_update_elem(world_map(w, "rings"), &zero, &fd, 0) ||
	    bpf_map_update_elem(world_map(w, "watch"), &zero, &set, 0))
		return -errno;
	w->ring = ring_buffer__new(fd, on_event, w, NULL);
	return w->ring ? 0 : -errno;
}

static void fill_endpoints(struct world *w)
{
	for (size_t i = 0; i < LEN(places); i++) {
		struct pol_if v = { .ep = places[i].ep,
				    .kind = POL_IF_ENDPOINT,
				    .ifindex = places[i].ifindex };
		__u32 near = v.ifindex % POL_IF_NEAR;

		if (!places[i].ep)
			continue;
		for (size_t j = 0; j < LEN(owners); j++)
			if (owners[j].owner.ep == v.ep)
				inet_pton(AF_INET6, owners[j].addr,
					  &v.addr[owners[j].addr[0] != ':']);
		if (places[i].has_mac)
			v.flags = POL_IF_HAS_MAC;
		memcpy(v.mac, places[i].mac, 6);
		if (v.ep == 2) { /* b is a port of a bridge, of which the host has this MAC */
			v.flags |= POL_IF_PORT;
			memcpy(v.host_mac, (__u8[6]){ 2, 0, 0, 0, 0, 0xfe }, 6);
		}
		bpf_map_update_elem(world_map(w, "ep_by_if"), &places[i].ifindex, &v, 0);
		/* c is found by the hashes alone, its place taken by another */
		if (v.ep == 3)
			v = (struct pol_if){ .ep = 1, .kind = POL_IF_ENDPOINT, .ifindex = 1 };
		bpf_map_update_elem(world_map(w, "if_near"), &near, &v, 0);
	}
	for (size_t i = 0; i < LEN(owners); i++) {
		struct pol_owner o = owners[i].owner;
		struct pol_addr a;

		if (owners[i].place)
			o.ifindex = world_place(owners[i].place)->ifindex;
		inet_pton(AF_INET6, owners[i].addr, &a);
		bpf_map_update_elem(world_map(w, "ep_by_addr"), &a, &o, 0);
	}
}

int world_state(struct world *w, unsigned ep, const struct pol_ep_state *state)
{
	return bpf_map_update_elem(world_map(w, "ep_state"), &ep, state, 0);
}

static void fill_states(struct world *w)
{
	struct pol_ep_state a = { .root = { ROW_A_INGRESS, ROW_A_EGRESS } };
	struct pol_ep_state b = { .root = { ROW_B_INGRESS, ROW_B_EGRESS } }, none = {};

	for (w->gen = WORLD_GENS - 1;; w->gen--) {
		world_state(w, 1, &a);
		world_state(w, 2, &b);
		world_state(w, 3, &none);
		for (size_t i = 0; i < LEN(owners); i++)
			if (owners[i].column)
				bpf_map_update_elem(world_map(w, "addr_column"),
						    &owners[i].owner.slot, &owners[i].column, 0);
		if (w->gen == 0)
			break;
	}
}

static void clear_hash(int fd, size_t key_size)
{
	char key[64];

	while (key_size <= sizeof(key) && bpf_map_get_next_key(fd, NULL, key) == 0)
		if (bpf_map_delete_elem(fd, key))
			break;
}

void world_reset(struct world *w)
{
	static const struct pol_ct_bucket empty;
	__u32 n = bpf_map__max_entries(bpf_object__find_map_by_name(w->obj[0], "ct"));
	__u64 zero[256] = {};
	__u32 kind;

	for (__u32 i = 0; i < n; i++)
		bpf_map_update_elem(world_map(w, "ct"), &i, &empty, 0);
	for (__u32 i = 0; i < 16; i++) /* more than the endpoints' numbers */
		for (int g = 0; g < WORLD_GENS; g++)
			bpf_map_update_elem(bpf_object__find_map_fd_by_name(w->obj[g],
									    "icmp_rates"),
					    &i, zero, 0);
	clear_hash(world_map(w, "frags"), sizeof(struct pol_frag_key));
	fill_states(w);
	for (w->gen = WORLD_GENS - 1;; w->gen--) {
		clear_hash(world_map(w, "limits"), sizeof(struct pol_limit_key));
		clear_hash(world_map(w, "proxy_onward"), sizeof(struct pol_onward_key));
		clear_hash(world_map(w, "proxy_flows"), sizeof(struct pol_proxy_key));
		for (kind = 0; kind < 4; kind++)
			bpf_map_update_elem(world_map(w, "limit_sources"), &kind, zero, 0);
		kind = 0;
		bpf_map_update_elem(world_map(w, "rates"), &kind, zero, 0);
		if (w->gen == 0)
			break;
	}
}

void world_age(struct world *w, unsigned seconds)
{
	__u32 n = bpf_map__max_entries(bpf_object__find_map_by_name(w->obj[0], "ct"));
	struct pol_ct_bucket b;

	for (__u32 i = 0; i < n; i++) {
		if (bpf_map_lookup_elem(world_map(w, "ct"), &i, &b))
			continue;
		for (int j = 0; j < POL_CT_WAYS; j++)
			b.entry[j].seen -= seconds;
		bpf_map_update_elem(world_map(w, "ct"), &i, &b, 0);
	}
}

int world_open(struct world *w, const char *object)
{
	cpu_set_t one;
	int err;

	memset(w, 0, sizeof(*w));
	/* per-CPU maps are read back at the CPU that the program ran on */
	w->cpu = sched_getcpu();
	CPU_ZERO(&one);
	CPU_SET(w->cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	err = make_devices();
	if (err) {
		fprintf(stderr, "cannot make a network namespace with veths: %s\n", strerror(-err));
		return err;
	}
	for (int g = 0; g < WORLD_GENS && !err; g++)
		err = load(w, g, object);
	if (!err)
		err = attach_all(w);
	if (err) {
		fprintf(stderr, "%s: cannot load and attach: %s\n", object, strerror(-err));
		return err;
	}
	err = open_ring(w);
	if (err) {
		fprintf(stderr, "cannot read events: %s\n", strerror(-err));
		return err;
	}
	fill_endpoints(w);
	world_reset(w);
	return 0;
}

static void read_drops(struct world *w, unsigned long long *out)
{
	struct pol_count c[256];

	for (__u32 r = 0; r < POL_REASON_MAX; r++)
		if (!bpf_map_lookup_elem(world_map(w, "drops"), &r, c))
			out[r] = c[w->cpu].packets;
}

static int test_run(struct world *w, struct shot *s)
{
	struct __sk_buff ctx = { .mark = s->mark,
				 .ifindex = s->ifindex,
				 .ingress_ifindex = s->iif,
				 .cb[CASE_FOR] = s->judged_for,
				 .gso_segs = s->gso_segs,
				 .gso_size = s->gso_size };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = s->in.data, .data_size_in = s->in.len,
		    .data_out = s->out.data, .data_size_out = sizeof(s->out.data), .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .ctx_out = &ctx, .ctx_size_out = sizeof(ctx));
	int err = bpf_prog_test_run_opts(w->prog[w->gen][s->hook], &opts);

	s->verdict = opts.retval;
	s->out.len = opts.data_size_out;
	s->mark_out = ctx.mark;
	s->judged_for = ctx.cb[CASE_FOR];
	return err;
}

/* Over the wire: a drop shows in the counters, within a moment. */
static int send_frame(struct world *w, struct shot *s, const unsigned long long *before)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = s->ifindex };
	struct timespec moment = { .tv_nsec = 1000000 };

	if (s->in.len < 14 || s->mark)
		return -EINVAL;
	for (size_t i = 0; i < LEN(places); i++)
		if (places[i].ifindex == s->ifindex && s->hook != POL_HOOK_EP_IN)
			to.sll_ifindex = places[i].peer;
	/* ENOBUFS: dropped at the egress hook */
	if (sendto(w->sock, s->in.data, s->in.len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 &&
	    errno != ENOBUFS)
		return -errno;
	s->verdict = 0;
	for (int tries = 0; tries < 50 && !s->verdict; tries++) {
		read_drops(w, s->dropped);
		if (memcmp(s->dropped, before, sizeof(s->dropped)))
			s->verdict = 2; /* TC_ACT_SHOT */
		else
			nanosleep(&moment, NULL);
	}
	return 0;
}

int world_shoot(struct world *w, struct shot *s)
{
	unsigned long long before[POL_REASON_MAX] = {};
	struct pol_scratch all[256];
	__u32 zero = 0;
	int err;

	memset(all, 0xff, sizeof(all));
	bpf_map_update_elem(world_map(w, "scratch"), &zero, all, 0);
	read_drops(w, before);
	err = test_run(w, s);
	if (err == -EINVAL)
		err = send_frame(w, s, before);
	if (err)
		return err;
	read_drops(w, s->dropped);
	for (int r = 0; r < POL_REASON_MAX; r++)
		s->dropped[r] -= before[r];
	bpf_map_lookup_elem(world_map(w, "scratch"), &zero, all);
	s->scratch = all[w->cpu];
	memset(w->events, 0, sizeof(w->events));
	ring_buffer__consume(w->ring);
	return 0;
}
