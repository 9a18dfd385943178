"""What every template may know about the person."""

from django.http import HttpRequest

from curation.core.permissions import reaches
from curation.models import Membership, Project


def membership(request: HttpRequest) -> dict[str, object]:
    """The projects the signed-in person sees, for the menu, and what they may do in the one on the page."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    context: dict[str, object] = {"my_projects": Project.objects.visible_to(user).order_by("name")}
    mine = getattr(request, "membership", None)  # set by permissions.require
    if mine is not None:
        context["can"] = {role.value: reaches(mine, role) for role in Membership.Role}
    return context
