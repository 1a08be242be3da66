"""The operator's sbc.yaml: its schema, its checks, and what the cores get of it."""
