/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI 2016, section 3.4) with weights: a ring of a prime number of places, in
 * which each backend stands as often as its weight says.  The same backends give the
 * same ring on every balancer, whatever their order.
 *
 * A backend that is not up keeps its places in that ring; whoever finds one of them goes on to
 * another place of the same ring.  So a backend that fails, is drained or comes back moves
 * the flows of no other.
 */
#ifndef POLC_MAGLEV_H
#define POLC_MAGLEV_H

#include "base.h"

#define POL_MAGLEV_BACKENDS 16384u	/* of one ring, at most */

struct pol_maglev {
	uint64_t id;		/* a hash of what it is (address and port); different for each */
	uint32_t weight;	/* 0: has no place */
	bool up;
};

/*
 * How many places a ring for these has: a prime, 500 for each share of the least weight where
 * that is possible, so that the load is within a fraction of a per cent of the weights and few flows
 * move when a backend is added or removed.  16,381 to 1,048,573.
 */
uint32_t pol_maglev_size(const struct pol_maglev *b, size_t n);

/*
 * Fills ring[0 .. size) with indices of b; size is a prime.  Places are stored one by one, so a
 * reader on another CPU sees for each the old backend or the new one.  Returns
 * how many backends have places and are up: 0, and the ring is left as it is.
 */
size_t pol_maglev_fill(const struct pol_maglev *b, size_t n, uint16_t *ring, uint32_t size);

#endif
