//go:build tools

// Package tools names the programs that make a Kubernetes API without containers; tests/support/kubernetes_tools.py builds them.
package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
)
