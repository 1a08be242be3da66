"""The commands of ``sbc``."""
