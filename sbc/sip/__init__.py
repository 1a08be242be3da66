"""SIP, sans-IO: RFC 3261 and friends."""
