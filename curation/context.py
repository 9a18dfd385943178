"""What every template may know about the person."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from curation.models import Project
from curation.permissions import LADDER, may


def membership(request: HttpRequest) -> dict[str, object]:
    """The projects the signed-in person sees, for the menu, and what they may do in the one on the page."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    context: dict[str, object] = {"my_projects": Project.objects.visible_to(user).order_by("name")}
    match = request.resolver_match
    if match is not None and "slug" in match.kwargs:
        context["can"] = SimpleLazyObject(lambda: _abilities(user, match.kwargs["slug"]))
    return context


def _abilities(user: object, slug: str) -> dict[str, bool]:
    """Role → whether the person may do what that role may, in the project of the page."""
    project = Project.objects.filter(slug=slug).first()
    return {role.value: project is not None and may(user, project, role) for role in LADDER}  # type: ignore[arg-type]
