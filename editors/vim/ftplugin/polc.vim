" SPDX-License-Identifier: GPL-2.0-only
" Policies of polc: comments, layout by `polc fmt`, mistakes by `:make`.
if exists('b:did_ftplugin')
  finish
endif
let b:did_ftplugin = 1

setlocal commentstring=#\ %s comments=:#
setlocal noexpandtab tabstop=4 shiftwidth=4
setlocal iskeyword=@,48-57,_,-,.
setlocal formatprg=polc\ fmt\ /dev/stdin
setlocal makeprg=polc\ check\ --color=never\ %:S
setlocal errorformat=%E%trror[P%n]:\ %m,%W%tarning[P%n]:\ %m,%C\ %#-->\ %f:%l:%c,%C%.%#

" Neovim: definitions, hover and diagnostics as one types.
if has('nvim-0.8') && executable('polc')
  lua vim.lsp.start({ name = 'polc', cmd = { 'polc', 'lsp' } })
endif

let b:undo_ftplugin = 'setlocal commentstring< comments< expandtab< tabstop< shiftwidth< iskeyword< formatprg< makeprg< errorformat<'
