"""Trunks that we register with: one registration for each, kept up for ever."""
