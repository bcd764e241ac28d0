"""Who may do what: curators decide, delete and restore; viewers look. Settings and tokens are neither's."""

from typing import Any

VIEWED = (
    "video", "curation", "category", "subcategory", "categorization", "proposal", "review", "categorizationevent",
)  # fmt: skip
GROUPS = {
    "viewer": tuple(f"view_{name}" for name in VIEWED),
    "curator": (
        *(f"view_{name}" for name in VIEWED), "change_video", "change_curation", "add_category", "change_category",
        "add_subcategory", "change_subcategory",
    ),
}  # fmt: skip


def add_groups(**_: Any) -> None:
    """Add the groups, and the permissions that they lack, at the end of `migrate`. What somebody gave them stays."""
    from django.contrib.auth.models import Group, Permission

    for name, codenames in GROUPS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.add(*Permission.objects.filter(content_type__app_label="videos", codename__in=codenames))
