"""Turning packets away in the kernel, before they cost the process anything."""
