# For shell scripts to read: find_node ROOT prints the path of the Node.js to run Ringfence with.
# The pinned one (npm package `node`) comes first, then any Node.js 24 or newer on PATH.

find_node() {
  for candidate in "$1/node_modules/node/bin/node" "$1/node_modules/.bin/node"; do
    if [ -x "$candidate" ] && [ -s "$candidate" ]; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  candidate=$(command -v node 2>/dev/null) || {
    echo "ringfence: no Node.js found; run npm ci in $1, or install Node.js 24 or newer" >&2
    return 1
  }
  version=$("$candidate" --version 2>/dev/null)
  major=${version#v}
  major=${major%%.*}
  if [ "${major:-0}" -ge 24 ] 2>/dev/null; then
    printf '%s\n' "$candidate"
    return 0
  fi
  echo "ringfence: Node.js 24 or newer is needed, but $candidate is ${version:-not usable}; run npm ci in $1 to get the pinned one" >&2
  return 1
}
