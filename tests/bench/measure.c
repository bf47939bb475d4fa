/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a command and prints what it took: "WALL USER SYSTEM PEAK", seconds and MiB.
 * The peak is the resident memory of the command and all its descendants together,
 * sampled; a compiler that waits for clang still holds its own.
 *
 *	measure COMMAND [ARGUMENT...]
 *
 * Exits as the command does.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 4096

struct process {
	long pid, parent, kib;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool read_process(long pid, struct process *p)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	*p = (struct process){ .pid = pid };
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "PPid:", 5) == 0)
			p->parent = strtol(line + 5, NULL, 10);
		else if (strncmp(line, "VmRSS:", 6) == 0)
			p->kib = strtol(line + 6, NULL, 10);
	}
	fclose(f);
	return true;
}

static size_t read_processes(struct process *v)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;

	while (d && (entry = readdir(d)) && n < MAX_PROCESSES) {
		long pid = strtol(entry->d_name, NULL, 10);

		if (pid > 0 && read_process(pid, &v[n]))
			n++;
	}
	if (d)
		closedir(d);
	return n;
}

static long parent_of(const struct process *v, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].pid == pid)
			return v[i].parent;
	return 0;
}

/* KiB of root and of all below it. */
static long tree_size(long root)
{
	static struct process v[MAX_PROCESSES];
	size_t n = read_processes(v);
	long sum = 0;

	for (size_t i = 0; i < n; i++)
		for (long at = v[i].pid; at > 1; at = parent_of(v, n, at))
			if (at == root) {
				sum += v[i].kib;
				break;
			}
	return sum;
}

int main(int argc, char **argv)
{
	struct timespec pause = { 0, 5000000 };
	struct rusage used;
	double start = now();
	long peak = 0;
	int status;
	pid_t pid, done;

	if (argc < 2) {
		fputs("usage: measure COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	pid = fork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	while ((done = wait4(pid, &status, WNOHANG, &used)) == 0) {
		long size = tree_size(pid);

		peak = size > peak ? size : peak;
		nanosleep(&pause, NULL);
	}
	if (done < 0)
		return 1;
	peak = used.ru_maxrss > peak ? used.ru_maxrss : peak; /* of any one of them, exact */
	printf("%.2f %.2f %.2f %.0f\n", now() - start,
	       (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6,
	       (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6,
	       (double)peak / 1024);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
