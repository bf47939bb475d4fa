/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many entries the pinned maps under a folder have, for "nothing was left behind".
 *
 *	entries DIR
 *
 * A line each: its path below DIR and the number; of arrays, how many values are not zero.
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

static int visit(const char *path, const struct stat *st, int what, struct FTW *at)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd;

	(void)st, (void)at;
	fd = what == FTW_F ? bpf_obj_get(path) : -1;
	/* A program has no maximum of entries where a map has it. */
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	    (is_hash(info.type) || is_array(info.type)))
		printf("%s %lu\n", path + root, count(fd, &info));
	if (fd >= 0)
		close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 4;
	root = strlen(argv[1]) + 1;
	return nftw(argv[1], visit, 16, FTW_PHYS) ? 1 : 0;
}
