# SPDX-License-Identifier: GPL-2.0-only
editorsdir = $(datadir)/polc
nobase_dist_editors_DATA = \
	editors/vim/ftdetect/polc.vim \
	editors/vim/ftplugin/polc.vim \
	editors/vim/syntax/polc.vim \
	editors/vscode/language-configuration.json \
	editors/vscode/package.json \
	editors/vscode/syntaxes/polc.tmLanguage.json
