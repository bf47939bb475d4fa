/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that runs out: the Nth allocation of a program fails, once; N+: and all after it.
 *
 *	NOMEM=N[+] LD_PRELOAD=nomem.so COMMAND...
 *
 * NOMEM_FILE, if set, gets the number of allocations when the program ends.  What the program starts
 * has all the memory it wants.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);

static unsigned long fails_at, fails_to, seen;

static bool fails(void)
{
	unsigned long n = __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);

	if (n < fails_at || n > fails_to)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
	return fails() ? NULL : __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __libc_realloc(ptr, size);
}

/* The C library's own calls realloc() by a name of its own. */
void *reallocarray(void *ptr, size_t nmemb, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(nmemb, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(ptr, all);
}

__attribute__((constructor)) static void begin(void)
{
	const char *v = getenv("NOMEM");
	char *end = NULL;

	unsetenv("LD_PRELOAD");
	seen = 0;
	fails_at = v ? strtoul(v, &end, 10) : 0;
	fails_to = end && *end == '+' ? ULONG_MAX : fails_at;
	if (!fails_at)
		fails_at = ULONG_MAX;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("NOMEM_FILE");
	unsigned long all = seen;
	FILE *f;

	fails_at = ULONG_MAX;
	f = path ? fopen(path, "we") : NULL;
	if (!f)
		return;
	fprintf(f, "%lu\n", all);
	fclose(f);
}
