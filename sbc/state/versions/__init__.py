"""Every configuration that was in force, as it was: who put it there, when and why."""
