"""What the process leaves on disk, and where: the one place that names it."""

from pathlib import Path

STATE_DIR = Path("/var/lib/sbc")
"""Where state is when the configuration says nothing."""

CDR_FILE = "cdr.sqlite"
"""The call records, in the state directory."""

CONTROL_SOCKET = "control.sock"
"""The control socket, in the state directory when the configuration says nothing."""
