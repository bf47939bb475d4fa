/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one run of polload was told, and what it may do.
 */
#ifndef POLC_RUNTIME_ENV_H
#define POLC_RUNTIME_ENV_H

#include "base/base.h"

#define PRT_BPFFS_DEFAULT "/sys/fs/bpf/polc"
#define PRT_STATE_DEFAULT "/var/lib/polc"
#define PRT_TRUST_DEFAULT "/etc/polc/trust.d"

struct prt_env {
	const char *bpffs;	/* folder of the pins; --bpffs, POLC_BPFFS */
	const char *state;	/* folder of the objects; --state-dir, POLC_STATE_DIR */
	const char *trust;	/* folder of public keys; --trust-dir, NULL: the default, which may be absent */
	const char *proxy;	/* the program polproxy; POLPROXY */
	const char *proxy_socket; /* where it is asked; --proxy-socket, POLC_PROXY_SOCKET */
	const char *proxy_log;	/* its access log, if we start it; POLC_PROXY_LOG, NULL: none */
	bool verbose;		/* pass on what libbpf says */
	bool json;
	struct pol_buf notes;	/* warnings for a person, a line each; main prints them */
};

/* -EPERM, naming what is missing, unless this process may load BPF and change interfaces. */
int prt_env_privileges(struct pol_err *e);

/*
 * -EPERM while the kernel takes BPF from anybody: with that, a process in a container can
 * read the kernel's memory through side channels and try its verifier for bugs,
 * and what is enforced here rests on both.
 */
int prt_env_unprivileged_bpf(struct pol_err *e);

/* The network namespace we are in; never 0. */
struct prt_netns {
	uint64_t dev, ino;
};
int prt_env_netns(struct prt_netns *out, struct pol_err *e);

/* Nanoseconds of CLOCK_MONOTONIC, as the data path counts. */
uint64_t prt_env_now_ns(void);
/*
 * Does it count so?  -EXDEV: we are in a time namespace (time_namespaces(7)) whose clock is another one than
 * the kernel's, so every age that we tell or write would be wrong.
 */
int prt_env_clock(struct pol_err *e);

/* A warning that changes nothing of the outcome. */
void prt_env_note(struct prt_env *env, const char *fmt, ...) POL_PRINTF(2, 3);

/*
 * Text from outside (a file, the kernel) made fit for a terminal: control bytes
 * and invalid UTF-8 become '?'.  Returns one of eight static buffers in turn.
 */
const char *prt_safe(const char *text);

#endif
