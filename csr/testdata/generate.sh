#!/bin/sh
# Makes the fixtures of this folder anew with OpenSSL 3: requests and keys as
# other programs write them, from which the fuzz tests start. Run it here:
#
#	sh generate.sh
#
# The password of encrypted.key and old-encrypted.key is that of key_test.go.
# The keys are for tests alone.
set -eu
PASSWORD='Geslo čšž'
export PASSWORD
req() {
	out=$1
	shift
	openssl req -new -nodes -keyout /dev/null -subj /C=AU/O=Acme/CN=portal.acme.example \
		-addext subjectAltName=DNS:portal.acme.example,IP:203.0.113.10 -out "$out" "$@"
}
req rsa512-md5.csr -newkey rsa:512 -md5
req rsa1024-sha1.csr -newkey rsa:1024 -sha1
req ec.csr -newkey ec -pkeyopt ec_paramgen_curve:P-256
req ed25519.csr -newkey ed25519
req ed448.csr -newkey ed448
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out pkcs8.key
openssl genpkey -algorithm ED25519 -out ed25519.key
openssl genrsa -traditional -out pkcs1.key 512
openssl pkey -traditional -in pkcs8.key -out sec1.key
openssl pkcs8 -topk8 -in pkcs8.key -v2 aes-256-cbc -iter 2 -passout env:PASSWORD -out encrypted.key
openssl pkcs8 -topk8 -in pkcs8.key -v1 PBE-SHA1-3DES -passout env:PASSWORD -out pbes1.key
openssl pkey -traditional -in pkcs8.key -aes128 -passout env:PASSWORD -out old-encrypted.key
