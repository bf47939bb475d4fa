/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way in for files that decide.  In this order, on one reading of the bytes:
 *
 *	1. whose they are, and whose the folders are	input.h
 *	2. who signed them (objects)			trust.h
 *	3. they are read in a child that can do nothing	contain.h
 *	4. they are read here, and checked		object.h, hostfile.h
 *
 * All of it before the lock, and before anything of BPF is open.
 */
#ifndef PRT_ADMIT_H
#define PRT_ADMIT_H

#include "hostfile.h"
#include "object.h"
#include "trust.h"

int prt_admit_object(const struct prt_env *env, const char *path, struct prt_object **out,
		     struct pol_err *e);
int prt_admit_host(const char *path, struct prt_hostfile **out, struct pol_err *e);

/* For those who only look: anybody's object, steps 3 and 4. */
struct prt_looked {
	const struct prt_env *env;		/* in: whose trust folder */
	struct prt_signature signature;
	struct pol_err trouble;			/* text set: what kept the signature from being checked */
};
/* looked: NULL, or what to say of the signature. */
int prt_look_object(const char *path, struct prt_looked *looked, struct prt_object **out,
		    struct pol_err *e);

#endif
