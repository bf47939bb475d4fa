/* SPDX-License-Identifier: GPL-2.0-only */
#include "lookup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>

#include "bpffs.h"

#define PIN "sk_lookup"

static int hang_new(const struct prt_env *env, int prog, struct pol_err *e)
{
	int netns POL_CLEANUP(pol_cleanup_fd) = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int link POL_CLEANUP(pol_cleanup_fd) = -1;

	if (netns < 0)
		return pol_err(e, -errno, "/proc/self/ns/net: %s", strerror(errno));
	link = bpf_link_create(prog, netns, BPF_SK_LOOKUP, NULL);
	if (link < 0)
		return pol_err(e, -errno, "cannot attach at sk_lookup: %s", strerror(errno));
	return prt_pin(env, 0, "link", PIN, link, e);
}

int prt_lookup_attach(const struct prt_env *env, int prog, struct pol_err *e)
{
	int link POL_CLEANUP(pol_cleanup_fd) = -1;
	int r;

	if (prog < 0)
		return prt_lookup_detach(env, e);
	r = prt_pin_get(env, 0, "link", PIN, &link, e);
	if (r && r != -ENOENT)
		return r;
	if (!r && !bpf_link_update(link, prog, NULL))
		return 0;
	r = r ? 0 : prt_lookup_detach(env, e);
	return r ? r : hang_new(env, prog, e);
}

int prt_lookup_detach(const struct prt_env *env, struct pol_err *e)
{
	return prt_unpin(env, 0, PIN, e);
}

bool prt_lookup_attached(const struct prt_env *env)
{
	int link POL_CLEANUP(pol_cleanup_fd) = -1;
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return !prt_pin_get(env, 0, "link", PIN, &link, NULL) &&
	       !bpf_obj_get_info_by_fd(link, &info, &len) && info.netns.netns_ino;
}
