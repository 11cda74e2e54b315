#!/bin/sh
# Writes kubernetes/ and etcd/ (go.mod and go.sum) anew for other versions.
# Needs Go and its module proxy, nothing else.
#
#   e2e/components/regenerate.sh 1.37.2 3.7.3
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 KUBERNETES_VERSION ETCD_VERSION, such as 1.37.2 3.7.3" >&2
    exit 2
fi
kubernetes=v${1#v} etcd=v${2#v}
cd "$(dirname "$0")"
export GOTOOLCHAIN=local GOWORK=off GOFLAGS=-mod=mod

# The old files stay until the new ones are whole.
trap 'rm -rf kubernetes.new etcd.new' EXIT

# begin FAMILY MODULE@VERSION: a new module that asks for the Go that upstream asks for.
begin() {
    rm -rf "$1.new"
    mkdir "$1.new"
    upstream=$(go mod download -json "$2" | sed -n 's/^\t"GoMod": "\(.*\)",\{0,1\}$/\1/p')
    if [ -z "$upstream" ]; then
        echo "$2: Go's module proxy does not have it (go mod download $2 says why)" >&2
        exit 1
    fi
    {
        echo "module closehaul.io/e2e/components/$1"
        sed -n '/^go /p' "$upstream"
    } >"$1.new/go.mod"
}

# finish FAMILY VERSION: the new files take the place of the old ones.
finish() {
    rm -rf "$1"
    mv "$1.new" "$1"
    echo "$1/go.mod: $2"
}

begin kubernetes "k8s.io/kubernetes@$kubernetes"
(
    cd kubernetes.new
    # Upstream requires its staging modules at v0.0.0, from its own tree; they are published as
    # v0.MINOR.PATCH.
    for module in $(sed -n 's/^\t\{0,1\}\(k8s\.io\/[^ ]*\) v0\.0\.0\( .*\)\{0,1\}$/\1/p' "$upstream"); do
        go mod edit -replace="$module=$module@v0.${kubernetes#v1.}"
    done
    for command in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl; do
        set -- "$@" "k8s.io/kubernetes/cmd/$command@$kubernetes"
    done
    shift 2
    go get -tool "$@"
)
finish kubernetes "$kubernetes"

begin etcd "go.etcd.io/etcd/server/v3@$etcd"
(
    cd etcd.new
    go get -tool "go.etcd.io/etcd/server/v3@$etcd" "go.etcd.io/etcd/etcdctl/v3@$etcd" \
        "go.etcd.io/etcd/etcdutl/v3@$etcd"
)
finish etcd "$etcd"
