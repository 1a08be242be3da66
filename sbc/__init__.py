"""A session border controller: signalling, policy and management."""

__version__ = "0.1.0"
