#!/bin/sh
# Rewrites one family's go.mod and go.sum for another version. Needs Go and its module proxy,
# nothing else.
#
#   e2e/components/regenerate.sh kubernetes 1.37.2
#   e2e/components/regenerate.sh kubernetes-1.36 1.36.3
#   e2e/components/regenerate.sh kubernetes-1.34 1.34.4
#   e2e/components/regenerate.sh etcd 3.7.3
#   e2e/components/regenerate.sh helm 4.3.1   (the other tools that check the chart: the latest)
#   e2e/components/regenerate.sh prometheus 0.316.0   (the module version of release 3.16.0)
#   e2e/components/regenerate.sh rival 1.37.2   (its main.go is ours and stays)
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 FAMILY VERSION, such as kubernetes 1.37.2" >&2
    exit 2
fi
family=$1 version=v${2#v}
cd "$(dirname "$0")"
export GOTOOLCHAIN=local GOWORK=off GOFLAGS=-mod=mod

# The old files stay until the new ones are complete.
trap 'rm -rf "$family.new"' EXIT

# begin MODULE: a new module that requires the same version of Go as upstream.
begin() {
    rm -rf "$family.new"
    mkdir "$family.new"
    upstream=$(go mod download -json "$1@$version" |
        sed -n 's/^\t"GoMod": "\(.*\)",\{0,1\}$/\1/p')
    if [ -z "$upstream" ]; then
        echo "$1@$version: Go's module proxy does not have it (go mod download says why)" >&2
        exit 1
    fi
    {
        echo "module closehaul.io/e2e/components/$family"
        # The version also sets the binaries' GODEBUG defaults, so they behave as upstream's.
        sed -n '/^go /p' "$upstream"
    } >"$family.new/go.mod"
    cd "$family.new"
}

# staging: upstream requires its staging modules at v0.0.0, from its source tree. They are published
# as v0.MINOR.PATCH.
staging() {
    for module in $(sed -n 's/^\t\{0,1\}\(k8s\.io\/[^ ]*\) v0\.0\.0\( .*\)\{0,1\}$/\1/p' "$upstream"); do
        go mod edit -replace="$module=$module@v0.${version#v1.}"
    done
}

case $family in
kubernetes*)
    begin k8s.io/kubernetes
    staging
    set --
    for command in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl; do
        set -- "$@" "k8s.io/kubernetes/cmd/$command@$version"
    done
    ;;
etcd)
    begin go.etcd.io/etcd/server/v3
    set --
    for module in server etcdctl etcdutl; do
        set -- "$@" "go.etcd.io/etcd/$module/v3@$version"
    done
    ;;
helm)
    begin helm.sh/helm/v4
    # helm-unittest needs this fork and has the same replacement.
    go mod edit -replace=github.com/vmware-labs/yaml-jsonpath@v0.3.2=github.com/helm-unittest/yaml-jsonpath@v0.4.0
    # Only for its CRD files.
    go get github.com/prometheus-operator/prometheus-operator@v0.85.0
    set -- "helm.sh/helm/v4/cmd/helm@$version"
    for command in helm-unittest/helm-unittest/cmd/helm-unittest rhysd/actionlint/cmd/actionlint \
        yannh/kubeconform/cmd/kubeconform; do
        set -- "$@" "github.com/$command@latest"
    done
    ;;
prometheus)
    begin github.com/prometheus/prometheus
    set -- "github.com/prometheus/prometheus/cmd/promtool@$version"
    ;;
rival)
    begin k8s.io/kubernetes
    staging
    cp "../$family/main.go" .
    go mod edit -require="k8s.io/kubernetes@$version"
    set --
    ;;
*)
    echo "$family: no such family" >&2
    exit 2
    ;;
esac
if [ $# -gt 0 ]; then
    go get -tool "$@"
else
    go mod tidy
fi

# The new files replace the old ones.
cd ..
rm -rf "$family"
mv "$family.new" "$family"
echo "$family/go.mod: $version"
