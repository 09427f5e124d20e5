"""Requests to one API server over sockets: names, connections, TLS, HTTP/2 and HTTP/1.1."""
