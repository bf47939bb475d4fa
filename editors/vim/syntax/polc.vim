" SPDX-License-Identifier: GPL-2.0-only
if exists('b:current_syntax')
  finish
endif

syntax keyword polcDefinition import default pool option cidr port endpoint policy service filter assert
syntax keyword polcAllow allow pass
syntax keyword polcDeny deny reject drop
syntax keyword polcAction skip limit
syntax keyword polcDirection from to on except in
syntax keyword polcOperator and or not has where
syntax keyword polcPeer any host nodes world public none true
syntax keyword polcProtocol tcp udp sctp icmp icmp6 proto
syntax keyword polcAttribute log name per source burst http header query websocket audit tier admin baseline
syntax keyword polcAttribute file dynamic open sport backend vip weight balance maglev random mode nat dsr check every timeout rise fall
syntax match polcMethod /\<[A-Z][A-Z-]\+\>/
syntax match polcNumber /\<\d\+\(-\d\+\)\?\(\/\(s\|min\|h\)\)\?\>/
syntax match polcAddress /\<\d\+\(\.\d\+\)\{3}\(\/\d\+\)\?/
syntax match polcAddress /\x*:[0-9A-Fa-f:.]\+\(\/\d\+\)\?/
syntax region polcString start=/"/ skip=/\\./ end=/"/ oneline contains=polcEscape
syntax region polcRegex start=/\~\s*"/ skip=/\\./ end=/"/ oneline
syntax match polcEscape /\\./ contained
syntax match polcComment /#.*/ contains=@Spell

highlight default link polcDefinition Structure
highlight default link polcAllow Statement
highlight default link polcDeny Exception
highlight default link polcAction Statement
highlight default link polcDirection Keyword
highlight default link polcOperator Operator
highlight default link polcPeer Constant
highlight default link polcProtocol Type
highlight default link polcAttribute PreProc
highlight default link polcMethod Identifier
highlight default link polcNumber Number
highlight default link polcAddress Number
highlight default link polcString String
highlight default link polcRegex Special
highlight default link polcEscape SpecialChar
highlight default link polcComment Comment

let b:current_syntax = 'polc'
