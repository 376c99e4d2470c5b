# What the commands beside this file share. A cluster is a tree of processes below one process, in
# namespaces of its own: when that process ends, for whatever reason, nothing of the cluster is left.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
clusters=${NODEDNS_TEST_CLUSTERS:-/tmp/nodedns-clusters}
name=${NODEDNS_TEST_CLUSTER:-lab}
cluster=$clusters/$name

fail() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || fail "a cluster takes root" "its namespaces and its kubelet do"
case $name in
'' | *[!a-z0-9-]*) fail "NODEDNS_TEST_CLUSTER=$name is not of lower-case letters, digits and '-'" ;;
esac

# Whether the cluster lives. Its processes hold the lock.
lives() {
  [ -e "$cluster/lock" ] && ! flock --nonblock "$cluster/lock" true
}

# Runs a command in the cluster's hub, where the control plane is.
inside() {
  local first
  first=$(cat "$cluster/outer.pid")
  nsenter --target "$first" --mount --net --uts --ipc --pid="/proc/$first/ns/pid_for_children" -- "$@"
}
