"""YAML that an operator wrote: read so that every complaint names file, line and column."""
