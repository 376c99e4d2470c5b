#!/bin/sh
# Makes the small Debian that the test boots, unless it is there already, and prints where it is.
# It is kept between runs, outside the checkout; NODEDNS_TEST_CACHE names another place. Nothing is
# written to it after it has been made: each boot has a layer of its own over it.
set -eu
suite=trixie
cache=${NODEDNS_TEST_CACHE:-/var/cache/nodedns-tests}
# Another list of packages is another image.
packages=systemd-sysv,dbus,iproute2,ca-certificates
image=$cache/$suite-$(printf %s "$packages" | cksum | cut -d ' ' -f 1)

mkdir -p "$cache"
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
