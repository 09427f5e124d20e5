"""A Kubernetes API to be slow against: an embedded one, or the real kube-apiserver with etcd."""
