/* SPDX-License-Identifier: GPL-2.0-only */
#include "load.h"

#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#define LINE 64u
#define LOADS 500000u

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* xorshift64: any order will do that no prefetcher guesses. */
static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static uint32_t walk(const char *p, uint32_t at, unsigned times)
{
	while (times--)
		at = *(const volatile uint32_t *)(p + at * (size_t)LINE);
	return at;
}

/* One cycle through all lines (Sattolo). */
static void link_lines(char *p, size_t lines)
{
	uint64_t random = 88172645463325252u;

	for (size_t i = 0; i < lines; i++)
		*(uint32_t *)(p + i * LINE) = (uint32_t)i;
	for (size_t i = lines - 1; i > 0; i--) {
		uint32_t *a = (uint32_t *)(p + i * LINE);
		uint32_t *b = (uint32_t *)(p + next_random(&random) % i * LINE), t = *a;

		*a = *b;
		*b = t;
	}
}

double bench_one_load(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t at;
	double ns;

	if (p == MAP_FAILED)
		return 0;
	madvise(p, bytes, MADV_NOHUGEPAGE);
	link_lines(p, bytes / LINE);
	at = walk(p, 0, LOADS);
	ns = cpu_ns();
	walk(p, at, LOADS);
	ns = (cpu_ns() - ns) / LOADS;
	munmap(p, bytes);
	return ns;
}
