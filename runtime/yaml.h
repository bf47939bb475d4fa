/* SPDX-License-Identifier: GPL-2.0-only */
/* The loader's names for the reader that it shares with `polc import`. */
#ifndef PRT_YAML_H
#define PRT_YAML_H

#include "../base/yaml.h"

#define prt_yaml pol_yaml
#define prt_yaml_doc pol_yaml_doc
#define prt_yaml_limits pol_yaml_limits
#define prt_yaml_parse pol_yaml_parse
#define prt_yaml_err pol_yaml_err
#define prt_yaml_map pol_yaml_map
#define prt_yaml_list pol_yaml_list
#define prt_yaml_text pol_yaml_text
#define prt_yaml_u32 pol_yaml_u32
#define prt_yaml_bool pol_yaml_bool
#define prt_yaml_choice pol_yaml_choice
#define prt_parse_u32 pol_parse_u32
#define prt_quote pol_quote
#define prt_printable pol_printable
#define prt_suggest pol_suggest
#define PRT_QUOTE POL_QUOTE
#define PRT_YAML_SCALAR POL_YAML_SCALAR
#define PRT_YAML_LIST POL_YAML_LIST
#define PRT_YAML_MAP POL_YAML_MAP

#endif
