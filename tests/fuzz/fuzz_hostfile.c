/* SPDX-License-Identifier: GPL-2.0-only */
/* The fuzzer of the host file's reader.  Input is one host file. */
#include <stddef.h>
#include <stdint.h>

#include "runtime/input/hostfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Whatever was accepted fits the maps and comes back from them. */
static void pack(const struct prt_endpoint *ep)
{
	struct pol_arena *arena = pol_arena_new();
	const struct prt_label *labels;
	char packed[POL_EP_LABELS];
	size_t nlabels;

	if (!ep->name.n || ep->name.n > PRT_NAME_MAX || !ep->naddrs)
		abort();
	prt_labels_pack(ep, packed);
	if (prt_labels_unpack(arena, packed, &labels, &nlabels) || nlabels != ep->nlabels)
		abort();
	for (size_t i = 0; i < nlabels; i++)
		if (!pol_str_eq(labels[i].key, ep->labels[i].key) ||
		    !pol_str_eq(labels[i].value, ep->labels[i].value))
			abort();
	pol_arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct prt_hostfile *h = NULL;
	struct pol_err err = { 0 };
	struct pol_str text = { (const char *)data, n };

	if (prt_hostfile_parse("h.yaml", text, &h, &err)) {
		if (h || !err.text[0])
			abort();
		return 0;
	}
	for (size_t i = 0; i < h->nendpoints; i++)
		pack(&h->endpoints[i]);
	for (size_t i = 0; i < h->nremotes; i++)
		pack(&h->remotes[i]);
	prt_hostfile_free(h);
	return 0;
}
