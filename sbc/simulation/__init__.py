"""Requests asked of a configuration without a wire: the switchboard of production, simulated."""
