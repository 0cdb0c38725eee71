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
node_modules/.bin/spanbridge export latest --format csv --state-dir "$work/state" | grep -q ',0\.5$' || { echo "no point in the export"; exit 1; }
echo "$line" | node_modules/.bin/spanbridge check --contract rl 2>&1 | grep -q "contract rl" || { echo "no contract rl"; exit 1; }
# The page is answered by a thread of its own, which is an entry of the build.
node_modules/.bin/spanbridge view --web-listen 127.0.0.1:0 --state-dir "$work/state" 2>view.txt &
view=$!
trap 'kill "$view" 2>/dev/null || :; wait "$view" || :; rm -rf "$work"' EXIT
looks=0
until grep -q 'http://' view.txt; do
  looks=$((looks + 1))
  kill -0 "$view" && [ "$looks" -lt 300 ] || { cat view.txt; exit 1; }
  sleep 0.1
done
address=$(sed -n 's/.*\(http:[^ ]*\).*/\1/p' view.txt | head -1)
node_modules/.bin/node -e '
  const url = new URL(process.argv[1])
  const headers = { authorization: `Bearer ${url.searchParams.get("token")}` }
  const [state, api] = await Promise.all(["/api/v1/state", "/api/v1/openapi.json"].map((path) => fetch(new URL(path, url), { headers })))
  if ((await state.json()).runs.length !== 1 || (await api.json()).openapi === undefined) throw new Error("the page answers something else")
' "$address"
echo "the packed tarball bridges a line, is a library, exports, has contracts and serves the page"
