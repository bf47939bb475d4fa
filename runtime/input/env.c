/* SPDX-License-Identifier: GPL-2.0-only */
#include "env.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* CAP_SYS_ADMIN stands for the two BPF capabilities, as the kernel has it (capabilities(7)). */
static const struct {
	int number;
	bool by_sys_admin;
	const char *name;
} needed[] = {
	{ CAP_BPF, true, "CAP_BPF" },
	{ CAP_PERFMON, true, "CAP_PERFMON" },
	{ CAP_NET_ADMIN, false, "CAP_NET_ADMIN" },
};

static bool has(const struct __user_cap_data_struct *data, int cap)
{
	return data[cap / 32].effective & (1u << (cap % 32));
}

int prt_env_privileges(struct pol_err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	char missing[96] = "";

	if (syscall(SYS_capget, &head, data))
		return pol_err(e, -errno, "cannot read the capabilities of this process: %s",
			       strerror(errno));
	for (size_t i = 0; i < POL_ARRAY_LEN(needed); i++) {
		size_t n = strlen(missing);

		if (has(data, needed[i].number) ||
		    (needed[i].by_sys_admin && has(data, CAP_SYS_ADMIN)))
			continue;
		snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "", needed[i].name);
	}
	if (!missing[0])
		return 0;
	pol_err_help(
		e,
		"run polload as root, or grant it: setpriv, capsh, or AmbientCapabilities= in a unit");
	return pol_err(e, -EPERM, "missing capability: %s", missing);
}

int prt_env_unprivileged_bpf(struct pol_err *e)
{
	static const char path[] = "/proc/sys/kernel/unprivileged_bpf_disabled";
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	size_t n;
	int r = pol_read_file(path, 64, &text, &n, e);

	if (!r && (text[0] == '1' || text[0] == '2'))
		return 0;
	pol_err_help(
		e,
		"sysctl -w kernel.unprivileged_bpf_disabled=2; or apply with --allow-unprivileged-bpf, if nobody untrusted runs here");
	if (r)
		return r;
	return pol_err(
		e, -EPERM,
		"this kernel lets everybody load BPF programs: kernel.unprivileged_bpf_disabled is %.1s",
		n ? text : "?");
}

int prt_env_netns(struct prt_netns *out, struct pol_err *e)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		return pol_err(e, -errno, "/proc/self/ns/net: %s", strerror(errno));
	*out = (struct prt_netns){ st.st_dev, st.st_ino };
	return 0;
}

uint64_t prt_env_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int prt_env_clock(struct pol_err *e)
{
	static const char path[] = "/proc/self/timens_offsets";
	long long seconds = 0, ns = 0;
	FILE *f = fopen(path, "re");
	int n;

	if (!f && errno == ENOENT) /* a kernel without such namespaces */
		return 0;
	if (!f)
		return pol_err(e, -errno, "%s: %s", path, strerror(errno));
	n = fscanf(f, "monotonic %lld %lld", &seconds, &ns);
	fclose(f);
	if (n != 2)
		return pol_err(e, -EIO, "%s: cannot be read", path);
	if (!seconds && !ns)
		return 0;
	pol_err_help(e, "run it in the host's: `nsenter --target 1 --time polload ...`");
	return pol_err(e, -EXDEV,
		       "this time namespace has another clock than the kernel and its data path");
}

void prt_env_note(struct prt_env *env, const char *fmt, ...)
{
	char line[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	pol_buf_addz(&env->notes, line);
	pol_buf_addc(&env->notes, '\n');
}

/* Length of the well-formed UTF-8 sequence at p, 0 if there is none. */
static size_t utf8(const unsigned char *p)
{
	size_t n = p[0] < 0x80                   ? 1
		   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		   : (p[0] & 0xf0) == 0xe0       ? 3
		   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						 : 0;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return 0; /* C1 controls */
	return n;
}

const char *prt_safe(const char *text)
{
	static char ring[8][512];
	static unsigned next;
	char *out = ring[next++ % 8];
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 0;

	while (*p && n + 5 < sizeof(ring[0])) {
		size_t k = utf8(p);

		if (k == 0 || *p < 0x20 || *p == 0x7f) {
			out[n++] = '?';
			p++;
			continue;
		}
		memcpy(out + n, p, k);
		n += k;
		p += k;
	}
	out[n] = '\0';
	return out;
}
