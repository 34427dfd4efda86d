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

# Keys that Go cannot use, each with its public half.
raw() {
	openssl pkey -in "raw-$1.key" -pubout -out "raw-$1.pub"
}
ec() {
	curve=$1
	shift
	openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" "$@"
}
openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out dsa.param
openssl genpkey -paramfile dsa.param -out raw-dsa.key
openssl pkey -traditional -in raw-dsa.key -out raw-dsa-old.key
rm dsa.param
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:512 -out raw-pss.key
openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:1024 -pkeyopt rsa_pss_keygen_md:sha256 \
	-pkeyopt rsa_pss_keygen_mgf1_md:sha256 -pkeyopt rsa_pss_keygen_saltlen:32 -out raw-pss-limited.key
for kind in ED448 X448 X25519; do
	openssl genpkey -algorithm $kind -out "raw-$(echo $kind | tr A-Z a-z).key"
done
for curve in secp256k1 brainpoolP256r1 SM2 sect233k1; do
	ec $curve -out "raw-$(echo $curve | tr A-Z a-z).key"
done
openssl pkey -traditional -in raw-secp256k1.key -out raw-sec1.key
ec secp256k1 | openssl ec -no_public -out raw-no-public.key
ec prime192v1 | openssl ec -conv_form compressed -out raw-compressed.key
ec P-256 -pkeyopt ec_param_enc:explicit -out raw-explicit.key
for key in raw-*.key; do
	raw "$(basename "${key#raw-}" .key)"
done
