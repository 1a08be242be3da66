"""Sockets that carry SIP: UDP and TCP, IPv4 and IPv6, several networks at once."""
