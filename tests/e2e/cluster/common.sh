# shellcheck shell=bash
# What the commands beside this file share. A cluster is a tree of processes below one process, in
# namespaces of its own: when that process ends, for whatever reason, nothing of the cluster is left but its
# directory, which the next `up` removes, of whatever cluster.

# shellcheck disable=SC2034 # for the commands
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
clusters=${NODEDNS_TEST_CLUSTERS:-/tmp/nodedns-clusters}
name=${NODEDNS_TEST_CLUSTER:-lab}
cluster=$clusters/$name

fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

# The comment at the top of the command.
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; }
misused() {
  usage >&2
  exit 64
}

case ${1:-} in -h | --help)
  usage
  exit
  ;;
esac
[ "$(id -u)" = 0 ] || fail "a cluster takes root" "its namespaces and its kubelet do"
case $clusters in
/run | /run/*) fail "NODEDNS_TEST_CLUSTERS=$clusters is below /run, which each node has of its own" ;;
/*) ;;
*) fail "NODEDNS_TEST_CLUSTERS=$clusters is not an absolute path" ;;
esac
case $name in
'' | *[!a-z0-9-]* | -*) fail "NODEDNS_TEST_CLUSTER=$name is not of lower-case letters, digits and '-'" ;;
esac

# Whether the cluster lives: its first process holds the lock until the last of the others has ended.
lives() {
  [ -e "$cluster/lock" ] && ! flock --shared --nonblock "$cluster/lock" true
}

# Goes on when no other command makes or removes a cluster, until file descriptor 8 is closed.
alone() {
  while true; do
    mkdir -p "$clusters"
    [ -O "$clusters" ] || fail "$clusters belongs to somebody else" "NODEDNS_TEST_CLUSTERS names another directory"
    # It may be removed meanwhile.
    if { exec 8<"$clusters"; } 2>/dev/null && flock 8 && [ "$clusters" -ef /proc/self/fd/8 ]; then return; fi
  done
}

# Removes the directory of a cluster that does not live. The lock goes last, as only what has one is a cluster's.
remove() {
  [ -e "$cluster" ] || return 0
  # Half made, or half removed.
  if rmdir "$cluster" 2>/dev/null; then return; fi
  [ -e "$cluster/lock" ] || fail "$cluster is not a cluster's directory: it has no file named lock"
  find "$cluster" -mindepth 1 -not -path "$cluster/lock" -delete
  rm "$cluster/lock"
  rmdir "$cluster"
}

# Calls a function for each cluster that there is, as if it were the one that is named.
for_each() {
  local cluster name
  for cluster in "$clusters"/*; do
    name=$(basename "$cluster")
    if [ -e "$cluster/lock" ]; then "$1"; fi
  done
}

# Runs a command in the cluster's hub, where the control plane is.
inside() {
  local first
  first=$(cat "$cluster/outer.pid")
  nsenter --target "$first" --mount --net --uts --ipc --pid="/proc/$first/ns/pid_for_children" -- "$@"
}
