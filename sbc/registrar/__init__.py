"""Registrations that pass through the border, sans-IO: bindings and far-end NAT."""
