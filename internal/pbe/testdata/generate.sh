#!/bin/sh
# Makes the fixtures of this folder anew with OpenSSL 3: one Ed25519 key in
# PKCS#8 (plain.der), encrypted in every way that matters. Run it here:
#
#	sh generate.sh
#
# The password is "geslo č" in UTF-8. All are to be opened but
# unsupported-*.der, which use a cipher that the package does not know.
# plain.der is a key for tests alone.
set -eu
PASSWORD='geslo č'
export PASSWORD
openssl genpkey -algorithm ed25519 -outform DER -out plain.der
seal() {
	out=$1
	shift
	openssl pkcs8 -topk8 -inform DER -in plain.der -outform DER -passout env:PASSWORD -out "$out" "$@"
}
for cipher in aes-128-cbc aes-192-cbc aes-256-cbc des3; do
	for prf in SHA1 SHA224 SHA256 SHA384 SHA512; do
		seal "$cipher-$prf.der" -v2 "$cipher" -v2prf "hmacWith$prf"
	done
done
seal many-rounds.der -v2 aes-256-cbc -iter 100000
seal scrypt.der -scrypt
seal unsupported-camellia.der -v2 camellia-256-cbc
seal pbes1-3des.der -v1 PBE-SHA1-3DES
seal pbes1-rc2.der -v1 PBE-SHA1-RC2-40 -provider legacy -provider default
seal pbes1-des.der -v1 PBE-MD5-DES -provider legacy -provider default
