/* SPDX-License-Identifier: GPL-2.0-only */
#include "compiler/import/rule.h"

int pol_import_cilium(struct pol_import *im, const struct pol_import_object *o)
{
	(void)im;
	return pol_yaml_err(o->doc, o->root, "policies of kind `%s` cannot be imported",
			    pol_import_kind_name(o->kind));
}
