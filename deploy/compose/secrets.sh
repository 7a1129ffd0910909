#!/bin/sh
# Makes what compose.yaml needs to know and nobody else may; what is there stays.
# The files can be read by all, because containers run as a user of their own; the
# directory is closed.
set -eu
dir=$(dirname "$0")/secrets
mkdir -p "$dir"
chmod 700 "$dir"
make() { [ -s "$dir/$1" ] || (umask 022; od -An -tx1 -N"$2" /dev/urandom | tr -d ' \n' >"$dir/$1"); }
make secret_key 32
make postgres_password 24
[ -s "$dir/database_url" ] || printf 'postgres://tollgate:%s@postgres:5432/tollgate?sslmode=disable' "$(cat "$dir/postgres_password")" >"$dir/database_url"
chmod 644 "$dir"/*
