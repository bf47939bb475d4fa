/* SPDX-License-Identifier: GPL-2.0-only */
/* polc-cni: called by a container runtime, with the configuration on standard input. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni.h"
#include "runtime/input/quiet.h"

static enum cni_code read_input(struct pol_buf *in, struct pol_err *e)
{
	char bytes[65536];
	ssize_t n;

	for (;;) {
		n = read(STDIN_FILENO, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		pol_buf_add(in, (struct pol_str){ bytes, (size_t)n });
		if (in->n > CNI_CONFIG_MAX) {
			pol_err(e, -EFBIG, "the configuration has more than %u bytes",
				CNI_CONFIG_MAX);
			return CNI_IO;
		}
	}
	if (!n)
		return CNI_OK;
	pol_err(e, -errno, "cannot read the configuration: %s", strerror(errno));
	return CNI_IO;
}

static int about(void)
{
	fputs("polc-cni " POLC_VERSION "\n"
	      "a chained CNI plugin that puts containers under the policy in force; see polc-cni(8)\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct cni_request q = { .version = "1.1.0" };
	struct pol_buf in = { 0 }, out = { 0 };
	struct pol_err e = { 0 };
	enum cni_code code;

	(void)argv;
	if (argc > 1 || !getenv("CNI_COMMAND"))
		return about();
	signal(SIGPIPE, SIG_IGN);
	json_set_alloc_funcs(pol_must_malloc, free);
	umask(077); /* pins are made with what it leaves */
	prt_quiet_init(false);
	code = read_input(&in, &e);
	code = code ? code : cni_request_read(&q, in.p ? in.p : "", in.n, &e);
	code = code ? code : cni_run(&q, &out, &e);
	if (q.env.notes.n)
		fputs(q.env.notes.p, stderr);
	if (code)
		cni_error(&q, code, &e, &out);
	if (out.n)
		fwrite(out.p, 1, out.n, stdout);
	if (fflush(stdout) && !code)
		code = CNI_IO;
	cni_request_free(&q);
	pol_buf_free(&in);
	pol_buf_free(&out);
	return code != CNI_OK;
}
