/* SPDX-License-Identifier: GPL-2.0-only */
#include "libxdp.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/input/env.h"

/* Of its interface, the same since version 1.0 (xdp/libxdp.h). */
struct xdp_program;
struct xdp_multiprog;
enum level { LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };

static struct {
	void *library;
	int (*(*set_print)(int (*)(enum level, const char *, va_list)))(enum level, const char *,
									va_list);
	long (*get_error)(const void *p);
	struct xdp_multiprog *(*of_interface)(int ifindex);
	bool (*is_legacy)(const struct xdp_multiprog *m);
	int (*mode)(const struct xdp_multiprog *m);
	void (*close_multi)(struct xdp_multiprog *m);
	struct xdp_program *(*from_id)(uint32_t id);
	int (*attach)(struct xdp_program *p, int ifindex, int mode, unsigned flags);
	int (*detach)(struct xdp_program *p, int ifindex, int mode, unsigned flags);
	void (*close)(struct xdp_program *p);
} xdp;

static char said[200]; /* the first warning of a call: what others follow from */

static int keep(enum level level, const char *fmt, va_list ap)
{
	/* how it goes on without a dispatcher is nothing that we would let it do */
	if (said[0] || level == LEVEL_DEBUG || !strncmp(fmt, "Falling back", 12))
		return 0;
	vsnprintf(said, sizeof(said), fmt, ap);
	said[strcspn(said, "\n")] = '\0';
	return 0;
}

static int load(struct pol_err *e)
{
	const struct {
		const char *name;
		void *to;
	} symbols[] = {
		{ "libxdp_set_print", &xdp.set_print },
		{ "libxdp_get_error", &xdp.get_error },
		{ "xdp_multiprog__get_from_ifindex", &xdp.of_interface },
		{ "xdp_multiprog__is_legacy", &xdp.is_legacy },
		{ "xdp_multiprog__attach_mode", &xdp.mode },
		{ "xdp_multiprog__close", &xdp.close_multi },
		{ "xdp_program__from_id", &xdp.from_id },
		{ "xdp_program__attach", &xdp.attach },
		{ "xdp_program__detach", &xdp.detach },
		{ "xdp_program__close", &xdp.close },
	};
	void *library = xdp.library ? xdp.library : dlopen("libxdp.so.1", RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && !xdp.library && i < POL_ARRAY_LEN(symbols); i++) {
		void *address = dlsym(library, symbols[i].name);

		if (!address) {
			dlclose(library);
			library = NULL;
		} else {
			memcpy(symbols[i].to, &address, sizeof(address));
		}
	}
	if (!library) {
		const char *why = dlerror();

		pol_err_help(e, "install libxdp (Debian: libxdp1), or take the dispatcher away");
		return pol_err(e, -EOPNOTSUPP, "libxdp cannot be loaded: %s",
			       why ? prt_safe(why) : "it lacks what is needed");
	}
	xdp.library = library;
	xdp.set_print(keep);
	said[0] = '\0';
	return 0;
}

static int failed(const char *name, const char *what, long code, struct pol_err *e)
{
	code = code < 0 ? code : -EIO;
	return pol_err(e, -EOPNOTSUPP, "interface '%s': libxdp %s: %s%s%s", prt_safe(name), what,
		       strerror((int)-code), said[0] ? ": " : "", prt_safe(said));
}

/* How the dispatcher hangs there. */
static int mode_of(uint32_t ifindex, const char *name, int *mode, struct pol_err *e)
{
	struct xdp_multiprog *m = xdp.of_interface((int)ifindex);
	long code = xdp.get_error(m);
	bool legacy;

	if (code || !m)
		return failed(name, "cannot read its dispatcher", code, e);
	legacy = xdp.is_legacy(m);
	*mode = xdp.mode(m);
	xdp.close_multi(m);
	if (!legacy)
		return 0;
	pol_err_help(
		e,
		"its pins are not where libxdp looks (/sys/fs/bpf/xdp, or LIBXDP_BPFFS), or another program has its name");
	return pol_err(
		e, -EOPNOTSUPP,
		"interface '%s': the XDP program there is no dispatcher that libxdp knows%s%s",
		prt_safe(name), said[0] ? ": " : "", prt_safe(said));
}

static int change(uint32_t ifindex, const char *name, uint32_t prog_id, bool in, struct pol_err *e)
{
	struct xdp_program *p;
	int mode = 0, r = load(e);
	long code;

	r = r ? r : mode_of(ifindex, name, &mode, e);
	if (r)
		return r;
	p = xdp.from_id(prog_id);
	code = xdp.get_error(p);
	if (code || !p)
		return failed(name, "cannot read our program", code, e);
	r = in ? xdp.attach(p, (int)ifindex, mode, 0) : xdp.detach(p, (int)ifindex, mode, 0);
	xdp.close(p);
	if (!r)
		return 0;
	if (in && r == -E2BIG)
		pol_err_help(e, "a dispatcher has room for 10 programs: `xdp-loader status %s`",
			     prt_safe(name));
	else if (in)
		pol_err_help(
			e,
			"Linux 6.12 and later want xdp-tools 1.5.5 or later for a program that changes packets");
	return failed(name,
		      in ? "cannot take our program into its dispatcher"
			 : "cannot take our program out of its dispatcher",
		      r, e);
}

int prt_libxdp_attach(uint32_t ifindex, const char *name, uint32_t prog_id, struct pol_err *e)
{
	return change(ifindex, name, prog_id, true, e);
}

int prt_libxdp_detach(uint32_t ifindex, const char *name, uint32_t prog_id, struct pol_err *e)
{
	return change(ifindex, name, prog_id, false, e);
}
