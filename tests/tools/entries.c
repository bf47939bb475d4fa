/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many entries the pinned maps under a folder have, for "nothing was left behind".
 *
 *	entries DIR
 *	entries memory DIR
 *
 * A line each: its path below DIR and the number; of arrays, how many values are not zero.
 * memory: bytes that the kernel has taken for all pinned maps there, in one number.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t root;
static bool memory;
static unsigned long long bytes;

static bool is_array(uint32_t type)
{
	return type == BPF_MAP_TYPE_ARRAY;
}

static bool is_hash(uint32_t type)
{
	return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH ||
	       type == BPF_MAP_TYPE_LPM_TRIE || type == BPF_MAP_TYPE_PERCPU_HASH;
}

static bool is_zero(const unsigned char *p, size_t n)
{
	while (n && !*p)
		p++, n--;
	return !n;
}

static unsigned long count(int fd, const struct bpf_map_info *info)
{
	void *key = calloc(2, info->key_size + 8), *value = calloc(1, info->value_size + 8);
	void *last = NULL, *next = key;
	unsigned long n = 0;

	while (!bpf_map_get_next_key(fd, last, next)) {
		if (is_hash(info->type) ||
		    (!bpf_map_lookup_elem(fd, next, value) && !is_zero(value, info->value_size)))
			n++;
		last = next;
		next = next == key ? (char *)key + info->key_size + 8 : key;
	}
	free(key);
	free(value);
	return n;
}

/* What fdinfo says (bpf_map_show_fdinfo(), kernel/bpf/syscall.c). */
static unsigned long long memory_of(int fd)
{
	unsigned long long n = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "memlock: %llu", &n) != 1)
		;
	if (f)
		fclose(f);
	return n;
}

static int visit(const char *path, const struct stat *st, int what, struct FTW *at)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd;

	(void)st, (void)at;
	fd = what == FTW_F ? bpf_obj_get(path) : -1;
	if (fd >= 0 && memory)
		bytes += memory_of(fd);
	/* A program has no maximum of entries where a map has it. */
	else if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
		 (is_hash(info.type) || is_array(info.type)))
		printf("%s %lu\n", path + root, count(fd, &info));
	if (fd >= 0)
		close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	memory = argc == 3 && !strcmp(argv[1], "memory");
	if (argc != 2 + memory)
		return 4;
	root = strlen(argv[argc - 1]) + 1;
	if (nftw(argv[argc - 1], visit, 16, FTW_PHYS))
		return 1;
	if (memory)
		printf("%llu\n", bytes);
	return 0;
}
