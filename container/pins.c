/* SPDX-License-Identifier: GPL-2.0-only */
#include "pins.h"

#include <polc/abi.h>
#include <sys/stat.h>

#include "runtime/host/bpffs.h"

bool cn_pins_changed(struct cn_pins *p, const struct prt_env *env)
{
	struct cn_pins was = *p;
	struct pol_err e = { 0 };
	char path[PRT_PATH];
	struct stat st;

	/* It outlives generations; a file that is made again has a number of its own (bpffs counts). */
	*p = (struct cn_pins){ 0 };
	if (!prt_bpffs_path(path, env, 0, POL_MAP_ACTIVE, &e) && !stat(path, &st))
		*p = (struct cn_pins){ st.st_dev, st.st_ino };
	return p->dev != was.dev || p->ino != was.ino;
}
