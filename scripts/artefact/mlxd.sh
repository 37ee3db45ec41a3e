#!/bin/sh
# The mlxd command as it is deployed. It runs with the Node that MLXD_NODE names, else the one beside it (npm run build -- --with-node), else
# the one in PATH: Node >= 24.
set -eu
file=$0
while [ -L "$file" ]; do
  link=$(readlink "$file")
  case $link in /*) file=$link ;; *) file=$(dirname "$file")/$link ;; esac
done
root=$(cd "$(dirname "$file")/.." && pwd)
node=node
if [ -x "$root/bin/node" ]; then node=$root/bin/node; fi
node=${MLXD_NODE:-$node}
version=$("$node" --version 2>/dev/null) || version=none
case $version in
  v2[4-9].* | v[3-9][0-9].*) ;;
  *)
    echo "mlxd needs Node >= 24, and found $version: install it from https://nodejs.org, or name it in MLXD_NODE." >&2
    exit 1 ;;
esac
# Where MLX's libraries were not packed, as this was built on another kind of machine, they are fetched once.
if [ -x "$root/scripts/with-mlx" ]; then PATH=$(dirname "$(command -v "$node")"):$PATH "$root/scripts/with-mlx"; fi
# What Node has made of a module once is kept: the next start is sooner.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/mlxd/compile}"
# `mlxd serve` runs the service in its own process (src/cli/commands/serve.ts); without the other commands it starts sooner.
program=mlxd
if [ "${1-}" = serve ]; then
  program=service
  for argument; do case $argument in -h | --help) program=mlxd ;; esac; done
  if [ $program = service ]; then shift; fi
fi
exec "$node" --enable-source-maps "$root/lib/$program.js" "$@"
