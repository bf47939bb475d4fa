/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the pins are still the same.  `polload remove` takes all hooks away, and nobody who remembers
 * where they were hears of it.
 */
#ifndef CN_PINS_H
#define CN_PINS_H

#include <sys/types.h>

#include "runtime/input/env.h"

struct cn_pins {	/* zeroed: not looked at yet */
	dev_t dev;
	ino_t ino;	/* 0: there are none */
};

/* Are there others than when it was asked last, or none any more? */
bool cn_pins_changed(struct cn_pins *p, const struct prt_env *env);

#endif
