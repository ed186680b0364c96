#!/bin/sh
# Runs at the end of `npm ci` and `npm install`: makes sure that the pinned Node.js is there, then builds the core and what goes with it.
# The npm package `node` fetches its binary in an install script, which some settings of npm skip.
set -e
cd "$(dirname "$0")/.."

if [ ! -x node_modules/node/bin/node ] && [ -f node_modules/node/installArchSpecificPackage.js ]; then
  (cd node_modules/node && node installArchSpecificPackage.js >&2) ||
    echo "ringfence: the pinned Node.js could not be installed; Node.js 24 or newer is needed on PATH" >&2
  if [ -x node_modules/node/bin/node ]; then
    mkdir -p node_modules/.bin
    ln -sf ../node/bin/node node_modules/.bin/node
  fi
fi

. tools/find-node.sh
ringfence_node=$(find_node .) || exit 1
if [ -d node_modules/assemblyscript ]; then
  # A core that does not compile must not keep anybody from installing; start and test build it again and then fail.
  "$ringfence_node" tools/build-core.ts && "$ringfence_node" tools/build-bundle.ts ||
    echo "ringfence: src/core is not built; npm run build shows why" >&2
else
  echo "ringfence: the AssemblyScript compiler is not installed, so src/core is not built" >&2
fi
# Only makes machines start sooner: says itself why it is not built, and that is no failure.
"$ringfence_node" tools/build-native.ts || true
