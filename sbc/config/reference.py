"""The references, made from the schemas: ``python -m sbc.config.reference [policies]``."""

import sys

from sbc.config.json_schema import configuration_schema
from sbc.config.policy_reference import policy_reference
from sbc.config.schema_tables import chapter

_HEAD = """\
# Configuration

One file says what the SBC does: `sbc.yaml`. It names its networks, the peers on them, the routes
between those, and the policy files that say who may do what. `deploy/sbc.yaml` is the one that
`make run` uses, `deploy/examples/` holds others. What a policy file may say is in
`policies/REFERENCE.md`.

- `sbc check FILE` says what is wrong, with file, line, column, key and what would be right.
- `sbc schema` prints a JSON Schema, with which editors complete and check while you write.
- `sbc plan` says what a change would do, `sbc apply --confirm 5m` tries it out, `sbc rollback N`
  goes back to an earlier version.
- `sbc reload` (or SIGHUP) reads the file again. A file with errors changes nothing. Addresses and
  ports that are bound, `media`, `firewall`, `state_dir`, `control_socket` and `limits` need a
  restart; a reload that would change them says so and changes nothing.
- Where a list is wanted, a single value will do: `bind: 192.0.2.1`.
- `${NAME}` in a value of sbc.yaml is replaced by that environment variable; one that is not set,
  or empty, is an error. Aliases and tags of YAML are refused, and so is a key that stands twice.
- Durations are seconds.

This page is made from the schemas: `python -m sbc.config.reference > deploy/CONFIGURATION.md`.
"""


def reference() -> str:
    """The page about sbc.yaml, in Markdown."""
    return "\n".join([_HEAD, *chapter("sbc.yaml", configuration_schema())])


if __name__ == "__main__":
    sys.stdout.write(policy_reference() if sys.argv[1:] == ["policies"] else reference())
