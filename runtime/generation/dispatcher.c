/* SPDX-License-Identifier: GPL-2.0-only */
#include "dispatcher.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "runtime/host/libxdp.h"
#include "stub.h"

static bool info_of(int fd, struct bpf_prog_info *info)
{
	uint32_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, info, &len);
}

static bool named(uint32_t prog_id, enum bpf_prog_type type, const char *name)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = prog_id ? bpf_prog_get_fd_by_id(prog_id) : -1;
	struct bpf_prog_info info;

	return info_of(fd, &info) && info.type == type && !strcmp(info.name, name);
}

bool prt_dispatcher_is(uint32_t prog_id)
{
	return named(prog_id, BPF_PROG_TYPE_XDP, "xdp_dispatcher");
}

/* The extension of that program which is `only`, or, 0, any stub of ours but `but`; 0: none. */
static uint32_t extension(uint32_t of, uint32_t only, uint32_t but)
{
	uint32_t id = 0;

	while (!bpf_link_get_next_id(id, &id)) {
		int fd POL_CLEANUP(pol_cleanup_fd) = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = { 0 };
		uint32_t len = sizeof(info);

		if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ||
		    info.type != BPF_LINK_TYPE_TRACING || info.tracing.target_obj_id != of)
			continue;
		if (only ? info.prog_id == only
			 : info.prog_id != but &&
				    named(info.prog_id, BPF_PROG_TYPE_EXT, PRT_XDP_JOINER))
			return info.prog_id;
	}
	return 0;
}

bool prt_dispatcher_has(const struct prt_shared *s, uint32_t prog_id)
{
	struct bpf_prog_info info;

	return info_of(s->joiner, &info) && extension(prog_id, info.id, 0);
}

/* The one of this life, made when a dispatcher is met for the first time. */
static int take_joiner(const struct prt_env *env, const struct prt_shared *s, int *fd,
		       struct pol_err *e)
{
	int r = prt_pin_get(env, 0, "program", PRT_XDP_JOINER, fd, e);

	if (r != -ENOENT || e->text[0])
		return r;
	if (!prt_shared_xdp_joins(s)) {
		pol_err_help(e, "`polload remove`, then apply");
		return pol_err(
			e, -EOPNOTSUPP,
			"what is in force was begun by a version of polload that knew no dispatchers");
	}
	r = prt_stub_load_joiner(s->active, s->root_xdp, s->map[PRT_SHARED_DROPS], fd, e);
	return r ? r : prt_pin(env, 0, "program", PRT_XDP_JOINER, *fd, e);
}

static int put_name(const struct prt_link *link, int r, struct pol_err *e)
{
	struct pol_err inner = *e;

	if (r)
		snprintf(e->text, sizeof(e->text),
			 "interface '%s': cannot join libxdp's dispatcher: %.400s",
			 prt_safe(link->name), inner.text);
	return r;
}

/* Takes out stubs of ours, but for one. */
static int take_out(uint32_t ifindex, uint32_t prog_id, uint32_t but, struct pol_err *e)
{
	struct prt_link link;
	uint32_t ours;
	int r = 0;

	while (!r && (ours = extension(prog_id, 0, but))) {
		r = prt_net_link_by_index(ifindex, &link, e);
		r = r ? r : prt_libxdp_detach(ifindex, link.name, ours, e);
		/* another dispatcher, or none */
		r = r ? r : prt_net_link_by_index(ifindex, &link, e);
		prog_id = r ? 0 : link.xdp;
	}
	return r;
}

int prt_dispatcher_join(struct prt_env *env, const struct prt_shared *s,
			const struct prt_link *link, uint32_t prog_id, struct pol_err *e)
{
	int fd POL_CLEANUP(pol_cleanup_fd) = -1;
	int r = put_name(link, take_joiner(env, s, &fd, e), e);
	struct bpf_prog_info ours;
	struct prt_link now;

	if (r)
		return r;
	if (!info_of(fd, &ours))
		return pol_err(e, -errno, "program '%s': %s", PRT_XDP_JOINER, strerror(errno));
	if (extension(prog_id, ours.id, 0))
		return take_out(link->ifindex, prog_id, ours.id, e);
	r = prt_libxdp_attach(link->ifindex, link->name, ours.id, e);
	r = r ? r : prt_net_link_by_index(link->ifindex, &now, e);
	if (r)
		return r;
	/* LIBXDP_SKIP_DISPATCHER, or somebody who came in between */
	if (!extension(now.xdp, ours.id, 0))
		return pol_err(
			e, -EBUSY,
			"interface '%s': libxdp's dispatcher was taken away or changed while we joined it",
			prt_safe(link->name));
	prt_env_note(env, "interface '%s': joined libxdp's dispatcher, at priority %u",
		     prt_safe(link->name), PRT_XDP_PRIORITY);
	return take_out(link->ifindex, now.xdp, ours.id, e);
}

int prt_dispatcher_leave(uint32_t ifindex, uint32_t prog_id, struct pol_err *e)
{
	return take_out(ifindex, prog_id, 0, e);
}
