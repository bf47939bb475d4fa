/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Monotonic time goes N times slower for a program, and ppoll() waits N times as long.
 *
 *	SLOWCLOCK=N LD_PRELOAD=slowclock.so qemu-system-x86_64 ...
 *
 * For QEMU by software emulation: its timers are what the guest's clocks are made of, so a guest that is N times
 * slower than a real machine has, by its own clock, as long as that for whatever it does. Its time stamp counter stays
 * the host's; a guest calibrates it against the timers. What QEMU's threads wait for is by the time of day.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define NS 1000000000LL

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
static long long slower = 1, start; /* start: ns of the monotonic clock, where both are the same */

static long long ns_of(const struct timespec *t)
{
	return t->tv_sec * NS + t->tv_nsec;
}

static struct timespec time_of(long long ns)
{
	return (struct timespec){ .tv_sec = ns / NS, .tv_nsec = ns % NS };
}

__attribute__((constructor)) static void begin(void)
{
	const char *n = getenv("SLOWCLOCK");
	struct timespec now;

	real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	real_ppoll = dlsym(RTLD_NEXT, "ppoll");
	real_gettime(CLOCK_MONOTONIC, &now);
	start = ns_of(&now);
	if (n && atoll(n) > 0)
		slower = atoll(n);
}

int clock_gettime(clockid_t clock_id, struct timespec *tp)
{
	int r = real_gettime(clock_id, tp);

	if (!r && clock_id == CLOCK_MONOTONIC)
		*tp = time_of(start + (ns_of(tp) - start) / slower);
	return r;
}

int ppoll(struct pollfd *fds, nfds_t nfds, const struct timespec *timeout, const sigset_t *ss)
{
	struct timespec longer;

	if (timeout) {
		longer = time_of(ns_of(timeout) * slower);
		timeout = &longer;
	}
	return real_ppoll(fds, nfds, timeout, ss);
}
