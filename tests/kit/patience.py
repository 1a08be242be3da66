"""How long tests wait for what real sockets and processes do."""

PATIENCE_S = 30.0
"""Far above what anything takes: a busy machine fails no test, only a fault waits so long."""
