"""Header fields that are more than text, one concept a file.

Spec: RFC 3261 §20.
"""
