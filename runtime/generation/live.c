/* SPDX-License-Identifier: GPL-2.0-only */
#include "live.h"

#include <errno.h>

#include "runtime/input/quiet.h"

void prt_live_init(struct prt_live *l)
{
	memset(l, 0, sizeof(*l));
	l->lock = -1;
	prt_shared_init(&l->shared);
	prt_gen_init(&l->gen);
}

void prt_live_close(struct prt_live *l)
{
	prt_world_free(&l->world);
	prt_gen_close(&l->gen);
	prt_shared_close(&l->shared);
	pol_cleanup_fd(&l->lock);
}

int prt_live_open(const struct prt_env *env, enum prt_lock_kind kind, struct prt_live *l,
		  struct pol_err *e)
{
	int r = prt_lock(env, kind, false, &l->lock, e);

	/* Of what was done before; whoever runs for weeks would keep every word. */
	prt_quiet_forget();
	r = r ? r : prt_shared_open(env, &l->shared, e);
	if (r == -ENOENT && !e->text[0]) {
		pol_err_help(e, "polload apply OBJECT puts one in force");
		pol_err(e, r, "%s: no policy is in force", env->bpffs);
	}
	r = r ? r
	      : prt_gen_open(env, prt_shared_active(&l->shared), kind == PRT_LOCK_EXCLUSIVE,
			     &l->gen, e);
	r = r ? r : prt_world_read(&l->gen, &l->world, e);
	if (r)
		prt_live_close(l);
	return r;
}
