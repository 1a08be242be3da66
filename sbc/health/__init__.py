"""Health of hops: which of the places that calls are sent to are in service. Sans-IO."""
