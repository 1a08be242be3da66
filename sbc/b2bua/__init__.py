"""The back-to-back user agent, sans-IO: one Call is two Legs and what they need relayed."""
