#!/bin/sh
# Makes the fixtures of this folder anew with OpenSSL 3: one Ed25519 key in
# PKCS#8 (plain.der), encrypted in every way that matters. Run it here:
#
#	sh generate.sh
#
# The password is "geslo č" in UTF-8. All are to be opened but
# unsupported-*.der, which are wrapped as RFC 3394 says.
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
for prf in MD5 SHA512-224 SHA512-256; do
	seal "aes-256-cbc-$prf.der" -v2 aes-256-cbc -v2prf "hmacWith$prf"
done
for cipher in aes-256-ecb aes-256-ofb aes-256-cfb camellia-128-cbc camellia-192-cbc camellia-256-cbc \
	camellia-256-ctr aria-128-cbc aria-192-cbc aria-256-cbc sm4-cbc; do
	seal "$cipher.der" -v2 "$cipher"
done
seal unsupported-wrap.der -v2 id-aes256-wrap
seal pbes1-3des.der -v1 PBE-SHA1-3DES
legacy() { seal "$@" -provider legacy -provider default; }
for cipher in des-cbc rc2-40-cbc rc2-64-cbc rc2-cbc rc4 bf-cbc cast5-cbc seed-cbc; do
	legacy "$cipher.der" -v2 "$cipher"
done
legacy pbes1-rc2.der -v1 PBE-SHA1-RC2-40
legacy pbes1-des.der -v1 PBE-MD5-DES
for scheme in MD5-RC2-64 SHA1-DES SHA1-RC2-64 SHA1-RC4-40 SHA1-RC4-128 SHA1-2DES SHA1-RC2-128; do
	legacy "pbes1-$scheme.der" -v1 "PBE-$scheme"
done
