#!/bin/sh
# Lays an empty layer over an image, in the directory DISK, for as long as this runs; it is to have a mount
# namespace of its own, so that all of it is gone with it, however it ends.
#
#   disk.sh IMAGE DISK
set -eu
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
# The container's own notes, which it would leave behind when it is killed.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
echo mounted
exec sleep infinity
