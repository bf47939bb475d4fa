/* SPDX-License-Identifier: GPL-2.0-only */
#include "quiet.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>

#define KEEP_MAX (32u << 20) /* verifier logs are long, but this is longer */

/* libbpf has one callback for the whole process and no pointer to pass along. */
static struct pol_buf said;
static bool all;

static int keep(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	va_list again;
	char *text POL_CLEANUP(pol_cleanup_free) = NULL;
	int n;

	if ((level == LIBBPF_DEBUG && !all) || said.n > KEEP_MAX)
		return 0;
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n <= 0)
		return 0;
	text = malloc((size_t)n + 1);
	if (!text)
		return 0;
	vsnprintf(text, (size_t)n + 1, fmt, ap);
	pol_buf_add(&said, (struct pol_str){ text, (size_t)n });
	return n;
}

void prt_quiet_init(bool everything)
{
	all = everything;
	libbpf_set_print(keep);
}

const char *prt_quiet_text(void)
{
	return said.p ? said.p : "";
}

void prt_quiet_forget(void)
{
	if (!all)
		pol_buf_free(&said);
}

int prt_quiet_unread(const char *path, struct pol_err *e)
{
	int code = errno;
	char why[128];

	/* What libelf could read a moment ago it cannot now: there is no memory. */
	if (code == ENOMEM || code == LIBBPF_ERRNO__LIBELF)
		return pol_err(e, -ENOMEM, "%s: out of memory", path);
	libbpf_strerror(code, why, sizeof(why));
	return pol_err(e, -ENOEXEC, "%s: libbpf cannot read it: %s", path, why);
}

/* ---- the verifier's reason ------------------------------------------------------------ */

static bool starts(struct pol_str s, const char *z)
{
	size_t n = strlen(z);

	return s.n >= n && !memcmp(s.p, z, n);
}

/*
 * "12: (79) r1 = ..." is an instruction; "; if (x)" the source; "R1=ctx()" and
 * "from 3 to 7:" the state; "processed 9 insns" the end.  What is left is a message.
 */
static bool is_message(struct pol_str l)
{
	size_t digits = 0;

	if (!l.n || starts(l, ";") || starts(l, "processed ") || starts(l, "verification time") ||
	    starts(l, "stack depth") || starts(l, "from ") || starts(l, "R0") || starts(l, "R1") ||
	    starts(l, "mark_precise") || starts(l, "--") || starts(l, "max_states") ||
	    starts(l, "libbpf:") || starts(l, "last_idx") || starts(l, "regs=") ||
	    starts(l, "arg#") || starts(l, "func#") || starts(l, "Func#"))
		return false;
	while (digits < l.n && l.p[digits] >= '0' && l.p[digits] <= '9')
		digits++;
	return !digits || digits == l.n || l.p[digits] != ':';
}

void prt_quiet_reason(char *out, size_t n)
{
	struct pol_str source = { "", 0 }, message = { "", 0 }, at = { "", 0 };
	const char *p = prt_quiet_text();

	while (*p) {
		const char *end = strchrnul(p, '\n');
		struct pol_str l = { p, (size_t)(end - p) };

		if (starts(l, "; "))
			source = l;
		if (is_message(l)) {
			message = l;
			at = source;
		}
		p = *end ? end + 1 : end;
	}
	if (at.n > 2)
		snprintf(out, n, "%.*s (at `%.*s`)", POL_STR_ARG(message), (int)at.n - 2, at.p + 2);
	else
		snprintf(out, n, "%.*s", POL_STR_ARG(message));
}
