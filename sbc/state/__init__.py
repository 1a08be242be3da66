"""What must outlive the process: the call records."""
