# Holds what a fleet needs of the host, and gives all of it back: two namespaces (mounts, network)
# and a tree of cgroups. It ends when its standard input does, which is when the test process lets
# go of the fleet or dies in whatever way, SIGKILL included.
#
# $1: name of the fleet's cgroup   $2: cgroup v2 mount point
# $3: mount point of the v1 hierarchy `name=systemd` on a hybrid host, or an empty string
set -eu
name=$1 v2=$2 v1=$3

# Ending early would leave the nodes without an owner.
trap : HUP INT TERM

finish() {
    [ -d "$v2/$name" ] || return 0
    echo 1 >"$v2/$name/cgroup.kill"
    # Killing is asynchronous and a shell cannot wait for cgroup.events; 500 rounds are 10 s.
    rounds=0
    while grep -q '^populated 1' "$v2/$name/cgroup.events" && [ $rounds -lt 500 ]; do
        sleep 0.02
        rounds=$((rounds + 1))
    done
    for tree in "$v2/$name" ${v1:+"$v1/$name"}; do
        find "$tree" -depth -type d -exec rmdir {} \; 2>/dev/null || :
    done
}
trap finish EXIT

mkdir "$v2/$name" "$v2/$name/island"
[ -z "$v1" ] || mkdir "$v1/$name" "$v1/$name/island"

# The process that keeps the namespaces alive. All files of the nodes are on its /run, a tmpfs that
# disappears with the namespace; hiding the host's /run also keeps nspawn's own files off the host.
unshare --net --mount --propagation private sh -euc '
    echo 0 >"$1/island/cgroup.procs"
    [ -z "$2" ] || echo 0 >"$2/island/cgroup.procs"
    mount -t tmpfs -o mode=755 tmpfs /run
    mkdir /run/netns /run/nodes
    ip link set lo up
    ip link add br0 type bridge forward_delay 0
    ip addr add 10.77.0.254/24 dev br0
    ip addr add fd00::fe/64 dev br0 nodad
    ip link set br0 up
    echo $$
    exec sleep infinity </dev/null >/dev/null 2>&1
' sh "$v2/$name" "${v1:+$v1/$name}" </dev/null &

# Only the holder has these now, so that the owner sees the end of the stream when it fails.
exec >/dev/null 2>&1
cat >/dev/null || :
