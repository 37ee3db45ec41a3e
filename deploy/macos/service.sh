# What install, upgrade and uninstall have in common. Sourced by them; MLXD_ROOT puts everything below another folder than /.
set -eu
root=${MLXD_ROOT:-}
programs=$root/usr/local/mlxd
etc=$root/usr/local/etc/mlxd
state=$root/usr/local/var/mlxd
logs=$root/usr/local/var/log/mlxd
daemons=$root/Library/LaunchDaemons
here=$(cd "$(dirname "$0")" && pwd)
daemon_names='dev.mlxd dev.mlxd.rotate-log'

fail() {
  echo "mlxd: $1" >&2
  exit 1
}

need_root_on_a_mac() {
  [ "$(uname -s)-$(uname -m)" = Darwin-arm64 ] || fail "this is for Macs with Apple silicon; on Linux there is deploy/systemd"
  [ "$(id -u)" = 0 ] || fail "run it with sudo"
}

# The Node that the daemon is started with: MLXD_NODE, else the one in PATH.
find_node() {
  node=${MLXD_NODE:-$(command -v node || true)}
  [ -n "$node" ] || fail "Node >= 24 is needed: brew install node, or name it in MLXD_NODE"
  case $("$node" --version 2>/dev/null || echo none) in
    v2[4-9].* | v[3-9][0-9].*) ;;
    *) fail "$node is no Node >= 24; name another one in MLXD_NODE" ;;
  esac
  case $node in
    /Users/*) fail "$node is in a home folder, which the daemon may not read: brew install node, or name another one in MLXD_NODE" ;;
  esac
}

# A user of its own, who cannot log in, with the first free number that macOS leaves to services.
make_user() {
  if dscl . -read /Users/_mlxd >/dev/null 2>&1; then return; fi
  number=300
  while dscl . -search /Users UniqueID $number | grep -q . || dscl . -search /Groups PrimaryGroupID $number | grep -q .; do
    number=$((number + 1))
    [ $number -lt 400 ] || fail "no number from 300 to 399 is free for its user"
  done
  dscl . -create /Groups/_mlxd
  dscl . -create /Groups/_mlxd PrimaryGroupID $number
  dscl . -create /Users/_mlxd
  dscl . -create /Users/_mlxd UniqueID $number
  dscl . -create /Users/_mlxd PrimaryGroupID $number
  dscl . -create /Users/_mlxd UserShell /usr/bin/false
  dscl . -create /Users/_mlxd NFSHomeDirectory /usr/local/var/mlxd
  dscl . -create /Users/_mlxd RealName "mlxd, the MLX daemon"
  dscl . -create /Users/_mlxd IsHidden 1
}

# Copies an artefact beside those that are there, fetches MLX's libraries with it, and tries whether it starts; sets `version`.
place_version() {
  artefact=$1
  [ -x "$artefact/bin/mlxd" ] || fail "there is no mlxd in $artefact: npm run build writes it"
  version=$(sed -n 's/^ *"version": "\([^"]*\)".*/\1/p' "$artefact/package.json" | head -1)
  case $version in
    '' | *[!A-Za-z0-9.+-]*) fail "$artefact/package.json names no version" ;;
  esac
  place=$programs/versions/$version
  mkdir -p "$programs/versions" "$programs/service"
  rm -rf "$place.new"
  cp -R "$artefact" "$place.new"
  # As root, once: the daemon itself may write nothing there.
  MLXD_NODE=$node "$place.new/bin/mlxd" --version >/dev/null || {
    rm -rf "$place.new"
    fail "mlxd $version does not start with $node; nothing was changed"
  }
  rm -rf "$place"
  mv "$place.new" "$place"
  chmod -R u=rwX,go=rX "$programs"
  cp "$here/rotate-log" "$here/uninstall" "$here/service.sh" "$programs/service/"
}

use_version() {
  ln -sfn "versions/$1" "$programs/current"
}

# The version that is used; nothing where there is none.
used_version() {
  basename "$(readlink "$programs/current" 2>/dev/null || true)"
}

# What runs goes on with the files that it was started with.
place_daemons() {
  mkdir -p "$daemons"
  for name in $daemon_names; do
    sed "s|@NODE@|$node|" "$here/$name.plist" >"$daemons/$name.plist.new"
    chmod 644 "$daemons/$name.plist.new"
    plutil -lint -s "$daemons/$name.plist.new" || fail "$daemons/$name.plist.new is broken; nothing was changed"
  done
  for name in $daemon_names; do mv "$daemons/$name.plist.new" "$daemons/$name.plist"; done
}

# Ends them: mlxd drains, which may take MLXD_DRAIN_MS.
stop_daemons() {
  for name in $daemon_names; do
    if launchctl print "system/$name" >/dev/null 2>&1; then launchctl bootout "system/$name" || true; fi
    waited=0
    while launchctl print "system/$name" >/dev/null 2>&1; do
      [ $waited -lt 130 ] || fail "$name has not ended within 130 s"
      sleep 1
      waited=$((waited + 1))
    done
  done
}

start_daemons() {
  for name in $daemon_names; do launchctl bootstrap system "$daemons/$name.plist" || return 1; done
}

# Whether it answers within READY_SECONDS: `mlxd is ready` is in the log from then on.
is_ready() {
  size_before=$1
  waited=0
  while [ $waited -lt "${READY_SECONDS:-600}" ]; do
    if tail -c +$((size_before + 1)) "$logs/mlxd.log" 2>/dev/null | grep -q '^mlxd is ready at'; then return 0; fi
    sleep 1
    waited=$((waited + 1))
  done
  return 1
}

log_size() {
  if [ -f "$logs/mlxd.log" ]; then wc -c <"$logs/mlxd.log" | tr -d ' '; else echo 0; fi
}
