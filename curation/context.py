"""What every template may know about the person."""

from django.http import HttpRequest

from curation.models import Project


def membership(request: HttpRequest) -> dict[str, object]:
    """The projects the signed-in person sees, for the menu."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"my_projects": Project.objects.visible_to(user).order_by("name")}
