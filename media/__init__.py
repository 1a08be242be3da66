"""The media relay: plans, ports and engines. Knows nothing of SIP."""
