"""How Kubernetes clients find their server, credentials and cache; reads, never writes."""
