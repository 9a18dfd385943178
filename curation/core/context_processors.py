"""Context of every template: the person's projects and permissions."""

from django.http import HttpRequest

from curation.core.permissions import is_at_least
from curation.models import Membership, Project


def membership(request: HttpRequest) -> dict[str, object]:
    """Return the projects of the signed-in person, and which roles they reach in the project of the page."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    context: dict[str, object] = {"my_projects": Project.objects.visible_to(user).order_by("name")}
    own_membership = getattr(request, "membership", None)  # set by permissions.role_required
    if own_membership is not None:
        context["can"] = {role.value: is_at_least(own_membership, role) for role in Membership.Role}
    return context
