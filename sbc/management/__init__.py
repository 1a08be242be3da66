"""Everything an operator touches: control socket, logs, call records."""
