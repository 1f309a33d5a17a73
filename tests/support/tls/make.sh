#!/usr/bin/env bash
# Makes all certificates of this folder again; see README.md.
set -euo pipefail
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cat >"$scratch/openssl.cnf" <<END
[ca]
default_ca = fixtures
[fixtures]
database = $scratch/index
new_certs_dir = $scratch
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[server]
basicConstraints = CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
END
touch "$scratch/index"

# Arguments: file name, key file, common name, extensions, how it is signed.
# Variables: CURVE, END.
make_certificate() {
  local name=$1 key=$2 common_name=$3 extensions=$4
  shift 4
  openssl req -newkey ec -pkeyopt "ec_paramgen_curve:${CURVE:-P-256}" -noenc -keyout "$key" \
    -out "$scratch/request.pem" -subj "/CN=$common_name"
  # "ca" and not "x509": only it can start in the past, for machines whose clock is behind.
  openssl ca -batch -notext -config "$scratch/openssl.cnf" -extensions "$extensions" \
    -startdate 20240101000000Z -enddate "${END:-21240101000000Z}" \
    -in "$scratch/request.pem" -out "$name.pem" "$@"
}

ca_key=$scratch/ca-key.pem
other_key=$scratch/other-ca-key.pem
make_certificate ca "$ca_key" "Treasury test authority" authority -selfsign -keyfile "$ca_key"
make_certificate other-ca "$other_key" "Another authority" authority -selfsign -keyfile "$other_key"
make_certificate server server-key.pem localhost server -cert ca.pem -keyfile "$ca_key"
make_certificate client client-key.pem treasury_user client -cert ca.pem -keyfile "$ca_key"
END=21230101000000Z \
  make_certificate server-next server-next-key.pem localhost server -cert ca.pem -keyfile "$ca_key"
CURVE=secp256k1 \
  make_certificate unusable unusable-key.pem localhost server -cert ca.pem -keyfile "$ca_key"
END=20240102000000Z \
  make_certificate client-expired client-expired-key.pem treasury_user client -cert ca.pem -keyfile "$ca_key"
make_certificate client-other client-other-key.pem treasury_user client -cert other-ca.pem -keyfile "$other_key"
