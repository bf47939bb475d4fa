/* SPDX-License-Identifier: GPL-2.0-only */
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "runtime/host/guard.h"
#include "neighbours.h"
#include "runtime/host/sysctl.h"
#include "xdp.h"

/* Where each stub hangs, and on what kind of interface. */
static const struct {
	enum pol_if_kind kind;
	enum bpf_tc_attach_point point;
	const char *side;
} places[POL_HOOK_MAX] = {
	[POL_HOOK_EP_OUT] = { POL_IF_ENDPOINT, BPF_TC_INGRESS, "ingress" },
	[POL_HOOK_EP_IN] = { POL_IF_ENDPOINT, BPF_TC_EGRESS, "egress" },
	[POL_HOOK_UPLINK_IN] = { POL_IF_UPLINK, BPF_TC_INGRESS, "ingress" },
	[POL_HOOK_LO_IN] = { POL_IF_LO, BPF_TC_INGRESS, "ingress" },
	[POL_HOOK_UPLINK_OUT] = { POL_IF_UPLINK, BPF_TC_EGRESS, "egress" },
};

int prt_attach_check(const struct prt_link *link, enum pol_if_kind kind, struct pol_err *e)
{
	static const char *const refused[] = { "macvlan", "macvtap", "ipvlan", "ipvtap" };

	for (size_t i = 0; i < POL_ARRAY_LEN(refused); i++) {
		if (strcmp(link->kind, refused[i]))
			continue;
		pol_err_help(e, "give the container a veth pair and name its host side");
		return pol_err(
			e, -EINVAL,
			"interface '%s': is a %s device: its traffic does not pass this host's stack, so it cannot be judged",
			prt_safe(link->name), refused[i]);
	}
	return prt_neighbours_check_link(link, kind, e);
}

static struct bpf_tc_hook hook_at(uint32_t ifindex, enum bpf_tc_attach_point point)
{
	struct bpf_tc_hook h;

	memset(&h, 0, sizeof(h));
	h.sz = sizeof(h);
	h.ifindex = (int)ifindex;
	h.attach_point = point;
	return h;
}

static struct bpf_tc_opts our_filter(void)
{
	struct bpf_tc_opts o;

	memset(&o, 0, sizeof(o));
	o.sz = sizeof(o);
	o.handle = PRT_TC_HANDLE;
	o.priority = PRT_TC_PRIORITY;
	return o;
}

static uint32_t prog_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

/* Number of the program that hangs at our place; 0: none, no qdisc, or no such interface. */
static int hangs_there(uint32_t ifindex, enum bpf_tc_attach_point point, uint32_t *id)
{
	struct bpf_tc_hook h = hook_at(ifindex, point);
	struct bpf_tc_opts o = our_filter();
	int r = bpf_tc_query(&h, &o);

	*id = r ? 0 : o.prog_id;
	return r == -ENOENT || r == -EINVAL || r == -ENODEV ? 0 : r;
}

int prt_attached(const struct prt_shared *s, uint32_t ifindex, enum pol_if_kind kind, bool out)
{
	for (size_t i = 0; i < POL_HOOK_MAX; i++) {
		uint32_t id, ours;
		int r;

		if (places[i].kind != kind || (i == POL_HOOK_UPLINK_OUT && !out))
			continue;
		r = hangs_there(ifindex, places[i].point, &id);
		if (r)
			return r;
		if (!id || s->stub[i] < 0)
			return 0;
		ours = prog_id(s->stub[i]);
		if (!ours)
			return -errno;
		if (id != ours)
			return 0;
	}
	return 1;
}

int prt_attached_any(uint32_t ifindex)
{
	uint32_t id = 0;
	int r = 0;

	for (size_t i = 0; i < POL_HOOK_MAX && !r && !id; i++) {
		if (places[i].kind == POL_IF_ENDPOINT)
			r = hangs_there(ifindex, places[i].point, &id);
	}
	return r ? r : id != 0;
}

static int detach_one(uint32_t ifindex, enum bpf_tc_attach_point point, struct pol_err *e)
{
	struct bpf_tc_hook h = hook_at(ifindex, point);
	struct bpf_tc_opts o = our_filter();
	uint32_t id;
	int r = hangs_there(ifindex, point, &id);

	if (!r && id)
		r = bpf_tc_detach(&h, &o);
	if (r && r != -ENOENT && r != -ENODEV && r != -EINVAL)
		return pol_err(e, r, "interface %u: cannot detach: %s", ifindex, strerror(-r));
	return 0;
}

/* ---- attaching ------------------------------------------------------------------------ */

static int attach_error(const struct prt_link *link, int code, const char *what, struct pol_err *e)
{
	if (code == -ENODEV)
		return pol_err(e, code, "interface '%s': is gone", prt_safe(link->name));
	return pol_err(e, code, "interface '%s': cannot %s: %s", prt_safe(link->name), what,
		       strerror(-code));
}

int prt_hook_of(int hooks, uint32_t ifindex, struct prt_hook *out, struct pol_err *e)
{
	memset(out, 0, sizeof(*out));
	if (bpf_map_lookup_elem(hooks, &ifindex, out) && errno != ENOENT)
		return pol_err(e, -errno, "map 'hooks': cannot read: %s", strerror(errno));
	return 0;
}

static int record(int hooks, uint32_t ifindex, struct prt_hook h, struct pol_err *e)
{
	if (bpf_map_update_elem(hooks, &ifindex, &h, BPF_ANY))
		return pol_err(e, -errno, "map 'hooks': cannot write: %s", strerror(errno));
	return 0;
}

/*
 * The record says "ours" before the qdisc is made: a crash in between makes us
 * remove a qdisc only if nobody else uses it, which harms nobody.
 */
static int make_qdisc(const struct prt_shared *s, const struct prt_link *link,
		      enum pol_if_kind kind, struct pol_err *e)
{
	struct bpf_tc_hook both = hook_at(link->ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct prt_hook h;
	int r = prt_hook_of(s->hooks, link->ifindex, &h, e);
	bool seen = h.kind;

	if (r)
		return r;
	h.kind = (uint8_t)kind;
	if (!seen)
		h.made_qdisc = 1;
	if (kind == POL_IF_LO)
		h.sysctl |= prt_sysctl_differ();
	r = record(s->hooks, link->ifindex, h, e);
	if (r)
		return r;
	r = bpf_tc_hook_create(&both);
	if (r == -EEXIST && !seen) {
		h.made_qdisc = 0;
		return record(s->hooks, link->ifindex, h, e);
	}
	return r && r != -EEXIST ? attach_error(link, r, "make a clsact qdisc", e) : 0;
}

/* An `ingress` qdisc stands where clsact should: it has no egress side and cannot be shared. */
static bool wrong_qdisc(const struct prt_link *link, struct pol_err *e)
{
	char kind[PRT_IFNAME];

	if (prt_net_ingress_qdisc(link->ifindex, kind, NULL) || !strcmp(kind, "clsact") || !kind[0])
		return false;
	pol_err_help(e, "remove it: tc qdisc del dev %s %s", prt_safe(link->name), kind);
	pol_err(e, -EBUSY, "interface '%s': has a qdisc '%s' where clsact is needed",
		prt_safe(link->name), kind);
	return true;
}

static int attach_one(const struct prt_shared *s, const struct prt_link *link, size_t hook,
		      struct pol_err *e)
{
	struct bpf_tc_hook h = hook_at(link->ifindex, places[hook].point);
	struct bpf_tc_opts o = our_filter();
	uint32_t id;
	int r = hangs_there(link->ifindex, places[hook].point, &id);

	if (r)
		return attach_error(link, r, "find out what is attached", e);
	if (id && id == prog_id(s->stub[hook]))
		return 0;
	/* Something with our name from an earlier life: replaced in one step. */
	o.flags = id ? BPF_TC_F_REPLACE : 0;
	o.prog_fd = s->stub[hook];
	r = bpf_tc_attach(&h, &o);
	if (r && r != -ENODEV && wrong_qdisc(link, e))
		return -EBUSY;
	if (r == -EEXIST) {
		pol_err_help(e, "see: tc filter show dev %s %s", prt_safe(link->name),
			     places[hook].side);
		return pol_err(e, r, "interface '%s': another filter has priority %u at %s",
			       prt_safe(link->name), PRT_TC_PRIORITY, places[hook].side);
	}
	return r ? attach_error(link, r, "attach", e) : 0;
}

/* It went while we were at it: what was noted of it would stand there until the next apply. */
static int forget_gone(const struct prt_shared *s, uint32_t ifindex, int r)
{
	struct prt_link link;
	struct pol_err e = { 0 };

	if (r && prt_net_link_by_index(ifindex, &link, &e) == -ENODEV)
		prt_detach(s->hooks, ifindex, &e);
	return r;
}

int prt_attach(const struct prt_shared *s, const struct prt_link *link, enum pol_if_kind kind,
	       enum prt_egress egress, struct pol_err *e)
{
	int r = prt_attach_check(link, kind, e);

	if (!r && kind == POL_IF_LO && !link->up) {
		pol_err_help(e, "ip link set %s up", prt_safe(link->name));
		return pol_err(
			e, -ENETDOWN,
			"interface '%s': is down, and requests of this host itself, bridged ones and translated ones come to the proxy by it",
			prt_safe(link->name));
	}
	r = r ? r : make_qdisc(s, link, kind, e);
	if (!r && kind == POL_IF_LO)
		r = prt_sysctl_set(UINT8_MAX, true, e);
	/* Of services that are no more, or of the endpoint that the device was. */
	if (!r && kind == POL_IF_UPLINK && egress == PRT_EGRESS_OFF)
		r = detach_one(link->ifindex, BPF_TC_EGRESS, e);
	for (size_t i = 0; i < POL_HOOK_MAX && !r; i++) {
		if (places[i].kind == kind && (i != POL_HOOK_UPLINK_OUT || egress == PRT_EGRESS_ON))
			r = attach_one(s, link, i, e);
	}
	if (!r && kind != POL_IF_LO)
		r = prt_guard_device(link->ifindex, true, e);
	return forget_gone(s, link->ifindex, r);
}

int prt_hold(const struct prt_shared *s, const struct prt_link *link, struct pol_err *e)
{
	struct prt_hook h;
	int r = prt_attach(s, link, POL_IF_ENDPOINT, PRT_EGRESS_KEEP, e);

	r = r ? r : prt_hook_of(s->hooks, link->ifindex, &h, e);
	h.held = 1;
	return r ? r : record(s->hooks, link->ifindex, h, e);
}

/* ---- detaching --------------------------------------------------------------------------- */

static int remove_qdisc(uint32_t ifindex, struct pol_err *e)
{
	struct bpf_tc_hook both = hook_at(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	unsigned others = 0;
	int r = prt_net_filters(ifindex, &others, e);

	if (r || others)
		return r;
	r = bpf_tc_hook_destroy(&both);
	if (r && r != -ENOENT && r != -ENODEV && r != -EINVAL)
		return pol_err(e, r, "interface %u: cannot remove the clsact qdisc: %s", ifindex,
			       strerror(-r));
	return 0;
}

static int take_hooks_off(int hooks, uint32_t ifindex, struct pol_err *e)
{
	struct prt_hook h;
	int r = prt_hook_of(hooks, ifindex, &h, e);

	r = r ? r : prt_xdp_detach(hooks, ifindex, e);
	r = r ? r : detach_one(ifindex, BPF_TC_INGRESS, e);
	r = r ? r : detach_one(ifindex, BPF_TC_EGRESS, e);
	if (!r && h.made_qdisc)
		r = remove_qdisc(ifindex, e);
	if (!r && h.kind)
		r = prt_sysctl_set(h.sysctl, false, e);
	return r;
}

int prt_detach(int hooks, uint32_t ifindex, struct pol_err *e)
{
	struct prt_link link;
	int r = prt_net_link_by_index(ifindex, &link, e);
	bool gone = r == -ENODEV;

	if (r && !gone)
		return r;
	/* Of one that is gone, too: its number may be another device's one day, which has no hooks. */
	r = prt_guard_device(ifindex, false, e);
	if (!r && !gone)
		r = take_hooks_off(hooks, ifindex, e);
	if (r)
		return r;
	if (bpf_map_delete_elem(hooks, &ifindex) && errno != ENOENT)
		return pol_err(e, -errno, "map 'hooks': cannot delete: %s", strerror(errno));
	return 0;
}

int prt_hooks_read(int hooks, prt_hooks *out, struct pol_err *e)
{
	uint32_t key, *last = NULL;

	while (!bpf_map_get_next_key(hooks, last, &key)) {
		struct prt_hook_at at = { .ifindex = key };
		int r = prt_hook_of(hooks, key, &at.hook, e);

		if (r)
			return r;
		if (at.hook.kind)
			*pol_vec_push(out) = at;
		last = &key;
	}
	if (errno != ENOENT)
		return pol_err(e, -errno, "map 'hooks': cannot read: %s", strerror(errno));
	return 0;
}

int prt_detach_all(int hooks, struct pol_err *e)
{
	prt_hooks all = { 0 };
	int r = prt_hooks_read(hooks, &all, e);

	for (size_t i = 0; i < all.n && !r; i++)
		r = prt_detach(hooks, all.v[i].ifindex, e);
	pol_vec_free(&all);
	return r;
}
