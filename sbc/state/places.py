"""What the process leaves on disk, and where: the one place that names it."""

from pathlib import Path

STATE_DIR = Path("/var/lib/sbc")
"""Where state is when the configuration says nothing."""

CDR_FILE = "cdr.sqlite"
"""The call records, in the state directory."""

CONTROL_SOCKET = "control.sock"
"""The control socket, in the state directory when the configuration says nothing."""

BINDINGS_FILE = "registrations.sqlite"
"""Who is registered and where, in the state directory; it holds the key of the tokens too."""

VERSIONS_DIR = "versions"
"""Every configuration that was in force, in the state directory."""

BANS_FILE = "bans.json"
"""Who is banned and why, in the state directory."""
