// The rival without the rest of kube-controller-manager: upstream's own EndpointSlice controller
// and the informers that it needs, with nothing else in the binary. It does as
// cmd/kube-controller-manager does: the same batch period, workers and encoding, nothing compressed,
// objects trimmed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/pkg/controller/endpointslice"
)

const (
	// kube-controller-manager's defaults.
	maxEndpointsPerSlice = 100
	batchPeriod          = 0
	workers              = 5
	resync               = 12 * time.Hour
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	qps := flag.Float64("kube-api-qps", 20, "requests a second")
	burst := flag.Int("kube-api-burst", 30, "requests at once")
	flag.Parse()
	if err := run(*kubeconfig, float32(*qps), *burst); err != nil {
		fmt.Fprintln(os.Stderr, "rival:", err)
		os.Exit(1)
	}
}

func run(kubeconfig string, qps float32, burst int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = qps
	config.Burst = burst
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	// Else the API server would pack what it sends, lists and watches, at a cost of its own.
	config.DisableCompression = true
	config.UserAgent = "rival"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	factory := informers.NewSharedInformerFactoryWithOptions(client, resync, informers.WithTransform(trim))
	controller := endpointslice.NewController(
		ctx,
		factory.Core().V1().Pods(),
		factory.Core().V1().Services(),
		factory.Core().V1().Nodes(),
		factory.Discovery().V1().EndpointSlices(),
		maxEndpointsPerSlice,
		client,
		batchPeriod,
	)
	factory.Start(ctx.Done())
	controller.Run(ctx, workers)
	return nil
}

// trim drops what the controller never reads, as kube-controller-manager does.
func trim(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil && accessor.GetManagedFields() != nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}
