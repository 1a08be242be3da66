"""Where in the world addresses are, by databases in MaxMind's format that the operator brings."""
