/* SPDX-License-Identifier: GPL-2.0-only */
#include "xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>

#include "attach.h"
#include "dispatcher.h"
#include "runtime/input/quiet.h"
#include "stub.h"

static uint32_t flags_of(enum prt_xdp_mode mode)
{
	return mode == PRT_XDP_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

const char *prt_xdp_mode_name(enum prt_xdp_mode mode)
{
	switch (mode) {
	case PRT_XDP_NATIVE:
		return "native";
	case PRT_XDP_GENERIC:
		return "generic";
	case PRT_XDP_NONE:
		break;
	}
	return "none";
}

static bool info_of(int fd, struct bpf_prog_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, info, &len);
}

/* No program, or one that went meanwhile, is none. */
static int is_stub(uint32_t prog_id, bool *yes)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = prog_id ? bpf_prog_get_fd_by_id(prog_id) : -1;
	struct bpf_prog_info info;

	*yes = false;
	if (!prog_id || (fd < 0 && errno == ENOENT))
		return 0;
	if (!info_of(fd, &info))
		return -errno;
	*yes = info.type == BPF_PROG_TYPE_XDP && !strcmp(info.name, prt_stub_name(POL_HOOK_XDP));
	return 0;
}

bool prt_xdp_is_stub(uint32_t prog_id)
{
	bool yes;

	return !is_stub(prog_id, &yes) && yes;
}

/* What hangs at the interface, and how.  An interface that is gone has nothing. */
static int hangs_there(uint32_t ifindex, uint32_t *id, enum prt_xdp_mode *mode)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	int r = bpf_xdp_query((int)ifindex, 0, &q);

	*id = r ? 0 : q.drv_prog_id ? q.drv_prog_id : q.skb_prog_id;
	*mode = !*id ? PRT_XDP_NONE : q.drv_prog_id ? PRT_XDP_NATIVE : PRT_XDP_GENERIC;
	return r == -ENODEV || r == -ENXIO ? 0 : r;
}

enum prt_xdp_mode prt_xdp_attached(const struct prt_shared *s, uint32_t ifindex)
{
	struct bpf_prog_info ours;
	uint32_t id;
	enum prt_xdp_mode mode;

	if (hangs_there(ifindex, &id, &mode) || !id)
		return PRT_XDP_NONE;
	if (info_of(s->stub[POL_HOOK_XDP], &ours) && ours.id == id)
		return mode;
	return prt_dispatcher_is(id) && prt_dispatcher_has(s, id) ? mode : PRT_XDP_NONE;
}

bool prt_xdp_dispatcher(uint32_t ifindex)
{
	uint32_t id;
	enum prt_xdp_mode mode;

	return !hangs_there(ifindex, &id, &mode) && prt_dispatcher_is(id);
}

static int record(int hooks, uint32_t ifindex, enum prt_xdp_mode mode, struct pol_err *e)
{
	struct prt_hook h;

	int r = prt_hook_of(hooks, ifindex, &h, e);

	if (r || h.xdp == mode)
		return r;
	h.xdp = (uint8_t)mode;
	if (bpf_map_update_elem(hooks, &ifindex, &h, BPF_EXIST))
		return pol_err(e, -errno, "map 'hooks': cannot write: %s", strerror(errno));
	return 0;
}

/* fd -1: takes off what `old` is.  Nobody who came in between is replaced or removed. */
static int set(uint32_t ifindex, int fd, uint32_t old, enum prt_xdp_mode mode)
{
	int old_fd POL_CLEANUP(pol_cleanup_fd) = old ? bpf_prog_get_fd_by_id(old) : -1;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);

	if (old && old_fd < 0)
		return -errno;
	opts.old_prog_fd = old ? old_fd : 0;
	return bpf_xdp_attach((int)ifindex, fd,
			      flags_of(mode) | (old ? 0 : XDP_FLAGS_UPDATE_IF_NOEXIST), &opts);
}

static int attach_failed(const struct prt_link *link, int code, struct pol_err *e)
{
	char why[200];

	if (code == -ENODEV)
		return pol_err(e, code, "interface '%s': is gone", prt_safe(link->name));
	if (code == -EBUSY || code == -EEXIST) {
		pol_err_help(e, "`bpftool net show dev %s` shows it; detach it first",
			     prt_safe(link->name));
		return pol_err(e, -EBUSY, "interface '%s': another XDP program came in between",
			       prt_safe(link->name));
	}
	prt_quiet_reason(why, sizeof(why));
	return pol_err(e, code, "interface '%s': cannot attach at XDP: %s%s%s",
		       prt_safe(link->name), strerror(-code), why[0] ? ": " : "", prt_safe(why));
}

/* In the driver, or else in the stack. */
static int attach_new(struct prt_env *env, const struct prt_shared *s, const struct prt_link *link,
		      struct pol_err *e)
{
	char why[200];
	int r = record(s->hooks, link->ifindex, PRT_XDP_NATIVE, e);

	if (r)
		return r;
	prt_quiet_forget();
	r = set(link->ifindex, s->stub[POL_HOOK_XDP], 0, PRT_XDP_NATIVE);
	if (!r || r == -ENODEV || r == -EBUSY || r == -EEXIST || r == -EPERM || r == -ENOMEM)
		return r ? attach_failed(link, r, e) : 0;
	prt_quiet_reason(why, sizeof(why));
	prt_quiet_forget();
	r = record(s->hooks, link->ifindex, PRT_XDP_GENERIC, e);
	if (r)
		return r;
	r = set(link->ifindex, s->stub[POL_HOOK_XDP], 0, PRT_XDP_GENERIC);
	if (r)
		return attach_failed(link, r, e);
	prt_env_note(
		env,
		"interface '%s': its driver takes no XDP program%s%s; generic XDP is used, which is slower",
		prt_safe(link->name), why[0] ? ": " : "", prt_safe(why));
	return 0;
}

int prt_xdp_attach(struct prt_env *env, const struct prt_shared *s, const struct prt_link *link,
		   struct pol_err *e)
{
	struct bpf_prog_info ours;
	uint32_t id;
	enum prt_xdp_mode mode;
	int r = hangs_there(link->ifindex, &id, &mode);

	if (r)
		return attach_failed(link, r, e);
	if (!id)
		return attach_new(env, s, link, e);
	r = record(s->hooks, link->ifindex, mode, e);
	if (r || (info_of(s->stub[POL_HOOK_XDP], &ours) && ours.id == id))
		return r;
	if (prt_dispatcher_is(id))
		return prt_dispatcher_join(env, s, link, id, e);
	/* A stub of an earlier life: replaced in one step, where it hangs.  neighbours.h refused all others. */
	if (!prt_xdp_is_stub(id))
		return attach_failed(link, -EBUSY, e);
	r = set(link->ifindex, s->stub[POL_HOOK_XDP], id, mode);
	return r ? attach_failed(link, r, e) : 0;
}

int prt_xdp_detach(int hooks, uint32_t ifindex, struct pol_err *e)
{
	uint32_t id;
	enum prt_xdp_mode mode;
	bool ours = false;
	int r = hangs_there(ifindex, &id, &mode);

	r = r ? r : is_stub(id, &ours);
	if (!r && ours)
		r = set(ifindex, -1, id, mode);
	else if (!r && prt_dispatcher_is(id))
		r = prt_dispatcher_leave(ifindex, id, e);
	if (r && e->text[0])
		return r;
	if (r && r != -ENODEV && r != -ENOENT)
		return pol_err(e, r, "interface %u: cannot detach XDP: %s", ifindex, strerror(-r));
	return record(hooks, ifindex, PRT_XDP_NONE, e);
}
