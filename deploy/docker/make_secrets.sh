#!/bin/sh
# Creates missing passwords: one file each, never printed, readable by the two accounts that need
# it. 1993 is the group of the account `deno` in denoland/deno.
set -eu
umask 077

make_password() { # FILE
  [ -s "$1" ] && return
  head -c 24 /dev/urandom | base64 | tr -d '\n' >"$1.new"
  chmod 440 "$1.new"
  chown postgres:1993 "$1.new"
  mv "$1.new" "$1"
}

make_password /secrets/administrator/postgres
make_password /secrets/migrator/treasury_migrator
make_password /secrets/service/treasury_user
