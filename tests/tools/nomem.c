/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that runs out: the Nth allocation of a program fails, once.
 *
 *	NOMEM=N LD_PRELOAD=nomem.so COMMAND...
 *
 * NOMEM_FILE, if set, gets the number of allocations when the program ends.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);

static unsigned long fails_at, seen;

static bool fails(void)
{
	if (__atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED) != fails_at || !fails_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
	return fails() ? NULL : __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

/* The C library's own calls realloc() by a name of its own. */
void *reallocarray(void *p, size_t count, size_t n)
{
	size_t all;

	if (__builtin_mul_overflow(count, n, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, all);
}

__attribute__((constructor)) static void begin(void)
{
	const char *v = getenv("NOMEM");

	seen = 0;
	fails_at = v ? strtoul(v, NULL, 10) : 0;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("NOMEM_FILE");
	unsigned long all = seen;
	FILE *f;

	fails_at = 0;
	f = path ? fopen(path, "we") : NULL;
	if (!f)
		return;
	fprintf(f, "%lu\n", all);
	fclose(f);
}
