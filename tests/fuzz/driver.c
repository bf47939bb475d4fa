/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stand-in for libFuzzer where clang has none: mutates a corpus without
 * looking at coverage.  It understands the few options that run.sh uses:
 *
 *   fuzzer [-max_total_time=SECONDS] [-seed=N] [-max_len=N] FOLDER|FILE...
 *
 * Files alone are run once each, as they are.  The input that is being tried stands in
 * ./crash-input before it runs, so that a crash leaves it behind.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct input {
	uint8_t *p;
	size_t n;
};

static struct input *corpus;
static size_t corpus_n, max_len = 65536;
static uint64_t state = 1;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t below(size_t n)
{
	return n ? (size_t)(next() % n) : 0;
}

static void take(const char *path)
{
	struct input in = { 0 };
	FILE *f = fopen(path, "rb");
	size_t cap = 0, got;

	if (!f)
		return;
	do {
		cap += 65536;
		in.p = realloc(in.p, cap);
		if (!in.p)
			abort();
		got = fread(in.p + in.n, 1, cap - in.n, f);
		in.n += got;
	} while (got);
	fclose(f);
	corpus = realloc(corpus, (corpus_n + 1) * sizeof(*corpus));
	if (!corpus)
		abort();
	corpus[corpus_n++] = in;
}

static void take_folder(const char *path)
{
	char file[4096];
	struct dirent *e;
	DIR *d = opendir(path);

	if (!d)
		return;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
			take(file);
		}
	closedir(d);
}

/* One change: flip, drop, double, or a piece of another input. */
static size_t mutate(uint8_t *p, size_t n)
{
	const struct input *other = &corpus[below(corpus_n)];
	size_t at = below(n + 1), len = 1 + below(32);

	switch (below(5)) {
	case 0:
		if (at < n)
			p[at] ^= (uint8_t)(1u << below(8));
		return n;
	case 1:
		if (at < n)
			p[at] = (uint8_t)next();
		return n;
	case 2:
		if (len > n - at)
			len = n - at;
		memmove(p + at, p + at + len, n - at - len);
		return n - len;
	case 3:
		if (len > n - at)
			len = n - at;
		if (n + len > max_len)
			return n;
		memmove(p + at + len, p + at, n - at);
		return n + len;
	default: {
		size_t from = below(other->n + 1);

		len = 1 + below(200);
		if (len > other->n - from)
			len = other->n - from;
		if (n + len > max_len)
			return n;
		memmove(p + at + len, p + at, n - at);
		memcpy(p + at, other->p + from, len);
		return n + len;
	}
	}
}

static void keep(const uint8_t *p, size_t n)
{
	FILE *f = fopen("crash-input", "wb");

	if (!f)
		return;
	fwrite(p, 1, n, f);
	fclose(f);
}

static unsigned long fuzz(time_t seconds)
{
	uint8_t *p = malloc(max_len + 1);
	time_t end = time(NULL) + seconds;
	unsigned long runs = 0;

	while (p && time(NULL) < end) {
		const struct input *seed = &corpus[below(corpus_n)];
		size_t n = seed->n < max_len ? seed->n : max_len;

		memcpy(p, seed->p, n);
		for (size_t changes = 1 + below(8); changes; changes--)
			n = mutate(p, n);
		keep(p, n);
		LLVMFuzzerTestOneInput(p, n);
		runs++;
	}
	free(p);
	remove("crash-input");
	return runs;
}

int main(int argc, char **argv)
{
	time_t seconds = 0;
	struct stat st;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "-max_total_time=", 16))
			seconds = atoi(argv[i] + 16);
		else if (!strncmp(argv[i], "-seed=", 6))
			state = strtoull(argv[i] + 6, NULL, 10) * 2654435761u + 1;
		else if (!strncmp(argv[i], "-max_len=", 9))
			max_len = strtoul(argv[i] + 9, NULL, 10);
		else if (argv[i][0] == '-')
			continue;
		else if (!stat(argv[i], &st) && S_ISDIR(st.st_mode))
			take_folder(argv[i]);
		else
			take(argv[i]);
	}
	for (size_t i = 0; i < corpus_n; i++)
		LLVMFuzzerTestOneInput(corpus[i].p, corpus[i].n);
	printf("%zu inputs of the corpus\n", corpus_n);
	if (seconds && corpus_n)
		printf("%lu runs\n", fuzz(seconds));
	return 0;
}
