# Runs a container's command as its Deployment says, in a separate mount namespace. It contains only
# the binary, the C library and the service account's directory, and nothing is writable.
#
#   container.sh ROOT BINARY ACCOUNT USER GROUP VARIABLE=VALUE... /closehaul ARGUMENT...
set -eu
root=$1 binary=$2 account=$3 user=$4 group=$5
shift 5
secrets=$root/var/run/secrets/kubernetes.io/serviceaccount

mount -t tmpfs -o mode=0755 tmpfs "$root"
mkdir -p "$root/usr" "$root/proc" "$secrets"
for directory in bin lib lib64; do
    ln -s "usr/$directory" "$root/$directory"
done
mount --bind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr"
mount --bind /proc "$root/proc"
cp "$binary" "$root/closehaul"
# As the kubelet projects it, readable only by the container's user.
cp "$account"/* "$secrets"
chown "$user:$group" "$secrets"/*
chmod 0400 "$secrets"/*
mount -o remount,ro "$root"

# Each of these commands replaces itself with the next by exec, so the process keeps its id. It ends
# with the test.
exec chroot "$root" /usr/bin/setpriv --pdeathsig KILL --reuid "$user" --regid "$group" --clear-groups \
    --no-new-privs --bounding-set=-all --inh-caps=-all /usr/bin/env -i "$@"
