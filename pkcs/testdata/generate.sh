#!/bin/sh
# Makes the fixtures of this folder anew: a chain of three certificates and PFX
# bundles of it as OpenSSL 3, GnuTLS, NSS and Java write them. It needs openssl,
# certtool (gnutls-bin), certutil and pk12util (libnss3-tools) and keytool (a Java
# 17 runtime). Run it here:
#
#	sh generate.sh
#
# The tests then need nothing but Go; the table in pfx_test.go says what each
# bundle must yield. The password is "geslo" where nothing else is said there.
# The keys are for tests alone; the certificates are good for a hundred years.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=$PWD
cd "$work"

ec="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
cat >ext.cnf <<'END'
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[issuing]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
authorityInfoAccess = caIssuers;URI:http://ca.example/root.crt
[leaf]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:portal.acme.example,DNS:acme.example
authorityKeyIdentifier = keyid
authorityInfoAccess = caIssuers;URI:http://ca.example/issuing.crt
END
root() { # root NAME SUBJECT
	openssl req -x509 $ec -keyout "$1.key" -out "$1.crt" -subj "$2" -days 36500 -extensions root -config ext-req.cnf
}
{
	printf '[req]\ndistinguished_name = dn\n[dn]\n'
	cat ext.cnf
} >ext-req.cnf
issue() { # issue NAME SUBJECT BY EXTENSIONS [KEY ARGUMENTS]
	name=$1 subject=$2 by=$3 section=$4
	shift 4
	openssl req -new ${*:-$ec} -keyout "$name.key" -out "$name.csr" -subj "$subject" -config ext-req.cnf
	openssl x509 -req -in "$name.csr" -CA "$by.crt" -CAkey "$by.key" -CAcreateserial -days 36500 \
		-extfile ext.cnf -extensions "$section" -out "$name.crt"
}
root root "/O=Acme Trust/CN=Acme Root"
issue issuing "/O=Acme Trust/CN=Acme Issuing" root issuing
issue leaf "/O=Acme Bakery/CN=portal.acme.example" issuing leaf
root stranger "/O=Stranger/CN=Stranger Root"
issue ed448 "/CN=ed448.acme.example" issuing leaf -newkey ed448 -nodes
cat issuing.crt root.crt >chain.pem
cat root.crt issuing.crt >rootfirst.pem
cat stranger.crt root.crt issuing.crt >extra.pem
cat root.crt issuing.crt leaf.crt >all.pem

p12() { # p12 FILE ARGUMENTS...
	out=$1
	shift
	openssl pkcs12 -export -out "$out" -inkey leaf.key -passout pass:geslo "$@"
}
p12 openssl.pfx -in leaf.crt -certfile chain.pem -name "Front door" -caname "Acme Issuing"
p12 openssl-legacy-rc2.pfx -in leaf.crt -certfile chain.pem -legacy
p12 openssl-3des-sha1.pfx -in leaf.crt -certfile chain.pem -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1
p12 openssl-sha512.pfx -in leaf.crt -certfile chain.pem -macalg sha512 -iter 100000
p12 openssl-sha384.pfx -in leaf.crt -certfile chain.pem -macalg sha384
p12 openssl-root-first.pfx -in leaf.crt -certfile rootfirst.pem
p12 openssl-extra.pfx -in leaf.crt -certfile extra.pem
p12 openssl-leaf-only.pfx -in leaf.crt
p12 openssl-no-root.pfx -in leaf.crt -certfile issuing.crt
p12 openssl-no-issuing.pfx -in leaf.crt -certfile root.crt
p12 openssl-nomac.pfx -in leaf.crt -certfile chain.pem -nomac
p12 openssl-nomac-empty.pfx -in leaf.crt -certfile chain.pem -nomac -passout pass:
p12 openssl-empty.pfx -in leaf.crt -certfile chain.pem -passout pass:
p12 openssl-plain.pfx -in leaf.crt -certfile chain.pem -keypbe NONE -certpbe NONE
p12 openssl-unicode.pfx -in leaf.crt -certfile chain.pem -passout 'pass:Geslo-čšž€'
p12 openssl-nokeys.pfx -in all.pem -nokeys
p12 openssl-nocerts.pfx -in leaf.crt -nocerts
p12 openssl-camellia.pfx -in leaf.crt -keypbe camellia-256-cbc -certpbe camellia-256-cbc
openssl pkcs12 -export -out openssl-ed448.pfx -inkey ed448.key -in ed448.crt -passout pass:geslo

certtool --to-p12 --load-certificate leaf.crt --load-privkey leaf.key --p12-name door --password geslo --outder --outfile certtool.p12
certtool --to-p12 --load-certificate leaf.crt --load-privkey leaf.key --load-ca-certificate chain.pem \
	--p12-name door --password geslo --outder --outfile certtool-ca.p12

mkdir db
certutil -N -d sql:db --empty-password
pk12util -i openssl.pfx -d sql:db -W geslo
pk12util -o pk12util.p12 -n "Front door" -d sql:db -W geslo

store() { keytool "$@" -storetype PKCS12 -storepass geslo1 -noprompt; }
keytool -importkeystore -srckeystore openssl.pfx -srcstoretype PKCS12 -srcstorepass geslo \
	-destkeystore keytool.p12 -deststoretype PKCS12 -deststorepass geslo1 -noprompt
cp keytool.p12 keytool-two-keys.p12
store -genkeypair -keystore keytool-two-keys.p12 -alias second -keyalg EC -groupname secp256r1 -dname CN=second -validity 36500

# A keystore of the old kind, with a trusted certificate beside the key.
keytool -importkeystore -noprompt -srckeystore openssl.pfx -srcstoretype PKCS12 -srcstorepass geslo -srcalias "front door" \
	-destkeystore chain.jks -deststoretype JKS -deststorepass geslo1 -destalias front
keytool -importcert -noprompt -keystore chain.jks -storepass geslo1 -alias stranger -file stranger.crt

# What Windows authorities send: the chain as PKCS#7, PEM and DER.
cat leaf.crt issuing.crt root.crt >all.crt
openssl crl2pkcs7 -nocrl -certfile all.crt -out chain.p7b
openssl crl2pkcs7 -nocrl -certfile all.crt -outform DER -out chain-der.p7b

cp root.crt issuing.crt leaf.crt leaf.key stranger.crt chain.p7b chain-der.p7b chain.jks "$here/"
cp ./*.pfx ./*.p12 "$here/pfx/"
chmod 644 "$here"/*.crt "$here"/*.key "$here"/*.p7b "$here"/pfx/*
