#!/usr/bin/env bash
# Starts a private PostgreSQL for the tests, runs the command it is given, and ends the server again.
set -euo pipefail
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
folder=$(mktemp -d /tmp/plastron-test-pg.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
  chown postgres:postgres "$folder"
  as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
fi
export LC_ALL=C.UTF-8
(cd / && "${as[@]}" "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --no-instructions >/dev/null)
(cd / && exec "${as[@]}" "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c log_min_messages=fatal) </dev/null &
server=$!
end() { kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"; }
trap end EXIT
for _ in $(seq 100); do
  psql -h "$folder" -U postgres -c 'SELECT 1' >/dev/null 2>&1 && break
  sleep 0.1
done
export PLASTRON_TEST_DATABASE="host=$folder user=postgres"
"$@"
