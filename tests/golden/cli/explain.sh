# SPDX-License-Identifier: GPL-2.0-only
# The verdict on single flows.
try() {
	echo "\$ polc explain $*"
	"$POLC" explain ../list/shop.pol "$@"
	echo "= $?"
}
try 'from frontend to api on tcp 8080'
try from api to frontend on tcp 8080
try 'from 192.0.2.200 to api on tcp 9090'
try 'from office to api on tcp 9090'
try 'from world to [app=frontend]@10.1.0.7 on tcp 8080'
try 'from [app=api,tier=canary] to db on tcp 5432'
try 'from 10.1.2.3 to frontend on tcp 8080'
try 'from host to api on icmp echo-request'
try 'from world to world on proto 47'
try --json 'from frontend to db on tcp 5432'
try --json 'from office to api on tcp 9090'
try 'from any to api on tcp 1'
try 'from [app != "x"] to api on tcp 1'
try 'from nobody to api on tcp 1'
try 'from frontend to api on tcp 8080 GET "/"'
try 'from frontend to api on tcp'
