"""The way to the API server, looked at from this machine: `survey` is where to begin."""
