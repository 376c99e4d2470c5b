#!/bin/sh
# Makes the small Debians that the tests boot, those that are not there already, and prints where each is:
#
#   image.sh bookworm trixie    makes them, both at once
#   image.sh --remove           removes whatever this has made
#
# They are kept between runs, outside the checkout, in /var/cache/nodedns-tests or where
# NODEDNS_TEST_CACHE says; NODEDNS_TEST_MIRROR names another mirror. Nothing is written to an image
# after it has been made: each machine has a layer of its own over it.
set -eu
cache=${NODEDNS_TEST_CACHE:-/var/cache/nodedns-tests}
# Another list of packages is another image.
packages=systemd-sysv,dbus,iproute2,ca-certificates

make() {
  suite=$1
  image=$2
  exec 9>"$image.lock"
  flock 9
  if [ ! -d "$image" ]; then
    rm -rf "$image.part"
    debootstrap --variant=minbase --include="$packages" "$suite" "$image.part" \
      "${NODEDNS_TEST_MIRROR:-http://deb.debian.org/debian}" >"$image.log" 2>&1 ||
      { grep '^E:' "$image.log" >&2; exit 1; }
    rm -rf "$image.part/var/cache/apt" "$image.part/var/lib/apt/lists"
    # Without one, every boot would be a first boot.
    : >"$image.part/etc/machine-id"
    mv "$image.part" "$image"
  fi
  printf '%s\n' "$image"
}

case ${1:-} in
--remove)
  for suite in bookworm trixie; do
    rm -rf "$cache/$suite"-* "$cache/.#$suite"-*
  done
  [ ! -d "$cache" ] || rmdir --ignore-fail-on-non-empty "$cache"
  exit
  ;;
'' | -*)
  echo "usage: image.sh SUITE... | --remove" >&2
  exit 64
  ;;
esac

mkdir -p "$cache"
made=
for suite in "$@"; do
  make "$suite" "$cache/$suite-$(printf %s "$packages" | cksum | cut -d ' ' -f 1)" </dev/null &
  made="$made $!"
done
for each in $made; do
  wait "$each"
done
