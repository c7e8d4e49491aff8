"""Writes docs/permissions.md: every permission, and the system roles that give it."""

from pathlib import Path
from typing import Final

from contracts.rules.access import PERMISSIONS, SYSTEM_ROLES, TEMPLATES, matrix

PAGE: Final = Path(__file__).parents[2] / "docs" / "permissions.md"
_HEAD: Final = """# Permissions

Written by `python -m infra.ops.permissions` from `contracts/rules/access.py`; a test compares them, edit neither here.
The same table, with an organization's own roles, is `GET /v1/roles/matrix`. Who is let in by which route stands in
`tests/api/matrix.py`. Owners hold what admins hold, whatever their roles.
"""
_LAWS: Final = """
## Laws

- Nobody grants what they do not hold: by making or changing a role, by inheriting, assigning or inviting, by a key.
- Nobody gives a role to themselves, not by their key either. Who takes rights away must hold them;
  anybody may lay down their own.
- The last owner stays. System roles are changed by nobody; a role in use cannot be deleted; no role inherits itself.
- A role given in a team is valid in that team only. A change is effective within a second, in every process.
- `family:*` takes in a family, `*` all but `system:`, which crosses organizations.
"""


def page() -> str:
    """The page as it should be."""
    roles, given = tuple(SYSTEM_ROLES.values()), matrix(SYSTEM_ROLES.values(), SYSTEM_ROLES)
    lines = [
        "| permission | to | " + " | ".join(role.name for role in roles) + " |",
        "|---|---|" + ":-:|" * len(roles),
    ]
    for permission, to in PERMISSIONS.items():
        marks = " | ".join("yes" if role.id in given[permission] else "" for role in roles)
        lines.append(f"| `{permission}` | {to} | {marks} |")
    templates = [
        f"- *{name}*: " + ", ".join(f"`{one}`" for one in sorted(TEMPLATES[name])) for name in sorted(TEMPLATES)
    ]
    started = "\n## Templates\n\nSets to start a role of one's own from:\n\n"
    return _HEAD + "\n" + "\n".join(lines) + "\n" + _LAWS + started + "\n".join(templates) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
