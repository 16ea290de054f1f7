"""Operator commands inside a Kubernetes cluster: a Job made from the event service, followed to its end."""
