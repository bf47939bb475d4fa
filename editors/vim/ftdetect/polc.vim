" SPDX-License-Identifier: GPL-2.0-only
autocmd BufNewFile,BufRead *.pol setfiletype polc
