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
