"""Where a request comes from and where it goes: networks, peers, routes. Sans-IO."""
