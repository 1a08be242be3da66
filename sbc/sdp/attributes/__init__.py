"""Attributes of session descriptions, one file per concept."""
