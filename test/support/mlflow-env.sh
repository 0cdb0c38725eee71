#!/bin/sh
# Installs the MLflow that the tests run against into .venv; does nothing when it is there.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
wanted=$root/test/support/requirements.txt
if ! cmp -s "$wanted" "$root/.venv/installed.txt"; then
  echo "Installing MLflow for the tests into .venv (about a minute, once) ..."
  python3 -m venv "$root/.venv"
  "$root/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
  cp "$wanted" "$root/.venv/installed.txt"
fi
