// Starts and stops controller-runtime's envtest as often as it is asked to, and tells how long each took.
//
// It reads one line from standard input for every measurement and answers with one line of JSON. When standard input
// ends it is done, so it never outlives whoever started it. The binaries are those of KUBEBUILDER_ASSETS; everything else
// is envtest's default.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

type measurement struct {
	StartSeconds float64 `json:"start_seconds"`
	StopSeconds  float64 `json:"stop_seconds"`
	Error        string  `json:"error,omitempty"`
}

func main() {
	answers := json.NewEncoder(os.Stdout)
	for requests := bufio.NewScanner(os.Stdin); requests.Scan(); {
		if err := answers.Encode(measure()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func measure() measurement {
	var found measurement
	environment := &envtest.Environment{}
	began := time.Now()
	var config *rest.Config
	config, err := environment.Start()
	found.StartSeconds = time.Since(began).Seconds()
	if err != nil {
		found.Error = err.Error()
	} else if config == nil || config.Host == "" {
		found.Error = "envtest started and named no address"
	}
	began = time.Now()
	if err := environment.Stop(); err != nil && found.Error == "" {
		found.Error = err.Error()
	}
	found.StopSeconds = time.Since(began).Seconds()
	return found
}
