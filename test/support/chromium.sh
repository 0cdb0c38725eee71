#!/bin/sh
# Installs the Chromium that the tests of the page drive, where it is missing and the user may; else its tests say what to do.
set -eu
[ -n "${SPANBRIDGE_CHROMIUM:-}" ] && exit 0
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium for the tests of the page (about a minute, once) ..."
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } ||
    echo "Chromium could not be installed: the tests of the page will say what to do." >&2
fi
