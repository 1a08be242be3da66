"""TLS without sockets: contexts, and what certificates prove."""
