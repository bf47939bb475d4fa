/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loader's side of the proxy (polc/proxy.h): it runs, it knows each generation
 * before that takes force, and the host's routing hands it what the data path marks.
 */
#ifndef POLC_RUNTIME_PROXY_H
#define POLC_RUNTIME_PROXY_H

#include <polc/proxy.h>

#include "runtime/input/hostfile.h"
#include "runtime/generation/gen.h"

struct prt_proxy {
	int fd;			/* of the control socket; -1 */
	uint16_t port, workers;
	uint32_t uid;		/* of its workers */
	uint64_t cgroup;	/* id; 0: not known */
};

void prt_proxy_init(struct prt_proxy *p);
void prt_proxy_close(struct prt_proxy *p);

/*
 * Connects; with `start`, starts the proxy if nobody answers, as the host file asks (NULL: as it
 * likes).  -ENOENT without an error text: without `start`, nobody answers.
 */
int prt_proxy_open(const struct prt_env *env, bool start, const struct prt_hostfile *host,
		   struct prt_proxy *p, struct pol_err *e);
/* Hands it the generation, and the data path who it is and where it listens. */
int prt_proxy_load(const struct prt_proxy *p, const struct prt_gen *g, const struct prt_shared *s,
		   struct pol_err *e);
/* A generation that it does not know is fine. */
int prt_proxy_forget(const struct prt_proxy *p, uint64_t gen, struct pol_err *e);
/* Forgets all but these (0: none). */
int prt_proxy_keep(const struct prt_proxy *p, uint64_t keep, struct pol_err *e);
bool prt_proxy_knows(const struct prt_proxy *p, uint64_t gen);
/*
 * From now on requests are told on *fd, a SOCK_SEQPACKET socket of the caller's: packets of struct
 * pol_proxy_request.  -EUSERS: others watch, as many as may.
 */
int prt_proxy_watch(const struct prt_proxy *p, int *fd, struct pol_err *e);
int prt_proxy_status(const struct prt_proxy *p, char text[POL_PROXY_TEXT], struct pol_err *e);
/* It ends when its last request is done. */
int prt_proxy_drain(const struct prt_proxy *p, struct pol_err *e);

#endif
