/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all changes of policy share: the lock, what is in force, and the generation to come.
 */
#ifndef POLC_RUNTIME_TX_H
#define POLC_RUNTIME_TX_H

#include "apply.h"
#include "proxy.h"
#include "runtime/host/guard.h"
#include "runtime/services/services.h"

struct prt_tx {
	struct prt_env *env;
	int lock;
	bool fresh;		/* nothing is in force */
	struct prt_guard_id lockdown; /* that this change ends, if it succeeds: one that was there before it */
	struct prt_shared shared;
	struct prt_gen old, next;
	struct prt_world old_world, world;
	struct prt_proxy proxy;	/* of a policy with http rules */
	struct prt_way way;	/* to it, that we made; table 0: none */
	struct prt_way old_way;	/* that was there; likewise */
	struct prt_services services;
	struct prt_imported imported;
};

void prt_tx_init(struct prt_tx *t, struct prt_env *env);
void prt_tx_close(struct prt_tx *t);

/*
 * Takes the lock and makes a state of affairs that is whole.  create: the folder, if it is not
 * there; else -ENOENT without an error text.
 */
int prt_tx_begin(struct prt_tx *t, bool create, struct pol_err *e);
/* Whatever happened since: as it was. */
void prt_tx_undo(struct prt_tx *t);

/* Fills t->world as the request says. */
int prt_tx_make_world(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e);
/* Fills the maps of t->next, which is loaded and which nobody sees, with t->world. */
int prt_tx_fill(struct prt_tx *t, const struct prt_apply *a, struct pol_err *e);

/* The rest of an apply (apply.c): behind it the policy is in force, or nothing has changed. */
int prt_tx_run(struct prt_tx *t, const struct prt_apply *a, struct prt_applied *out,
	       struct pol_err *e);

#endif
