"""Host names of the configuration, looked up beside the loop."""
