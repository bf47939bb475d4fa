/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who signed an object.  The trust folder holds public keys, *.pub (base/sign.h);
 * as soon as there is one, an object is applied only with a signature by one of them
 * in OBJ.sig.  What the signature does not tell is age: an old object stays signed,
 * so folders have owners too (input.h).
 *
 * Whatever keeps a key from being read refuses every object: a damaged
 * key must not turn the check off.
 */
#ifndef PRT_TRUST_H
#define PRT_TRUST_H

#include "base/sign.h"
#include "env.h"
#include "input.h"

enum prt_signed {
	PRT_SIGNED_NOT,		/* no OBJ.sig */
	PRT_SIGNED_UNKNOWN,	/* there is one, but no key to check it with */
	PRT_SIGNED_WRONG,	/* by none of the keys, over other bytes, or no signature at all */
	PRT_SIGNED_BY,		/* key[] */
};

struct prt_signature {
	enum prt_signed is;
	size_t nkeys;		/* in the trust folder */
	char key[256];		/* file name of the key */
	bool whole;		/* OBJ.sig has the length of one: */
	uint8_t bytes[POL_SIGN_BYTES];
};

/* What can be said of the bytes that were read.  Fails only over the folder, a key or OBJ.sig. */
int prt_trust_look(const struct prt_env *env, const struct prt_input *in, struct prt_signature *out,
		   struct pol_err *e);
/* -EKEYREJECTED, with what to do, unless no key is there or one of them signed these bytes. */
int prt_trust_check(const struct prt_env *env, const struct prt_input *in,
		    struct prt_signature *out, struct pol_err *e);

#endif
