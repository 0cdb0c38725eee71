#!/bin/sh
# Packs the package, installs the tarball beside Node.js 24 in an empty folder, and bridges a line with it.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"
npm pack --silent --pack-destination "$work" >/dev/null
cd "$work"
node=$(sed -n 's/.*"node": "\([0-9.]*\)".*/\1/p' "$root/package.json")
printf '{"private":true,"allowScripts":{"node":true}}\n' >package.json
npm install --silent --no-audit --no-fund "node@$node" ./spanbridge-*.tgz @opentelemetry/sdk-trace-base@2
XDG_STATE_HOME=$work/library
export XDG_STATE_HOME
line='{"category":"TRAINER","step":1,"loss":0.5}'
out=$(echo "$line" | node_modules/.bin/spanbridge --state-dir "$work/state" 2>err.txt) || { cat err.txt; exit 1; }
[ "$out" = "$line" ] || { echo "expected the line, got: $out"; exit 1; }
node_modules/.bin/spanbridge status --json --state-dir "$work/state" | grep -q '"points": 1' || { cat err.txt; exit 1; }
cp "$root/examples/library.mjs" .
node_modules/.bin/node library.mjs 2>err.txt || { cat err.txt; exit 1; }
grep -q "= 300 points" err.txt || { cat err.txt; exit 1; }
[ -f node_modules/spanbridge/dist/page/index.html.br ] || { echo "the page is not in the tarball"; exit 1; }
echo "the packed tarball bridges a line, is a library, and has the page"
