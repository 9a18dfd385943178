"""The request that views of project members get."""

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from curation.models import Membership


class MemberRequest(HttpRequest):
    """Request of a signed-in member. `permissions.role_required` and the htmx middleware set the attributes."""

    user: User
    membership: Membership
    htmx: HtmxDetails
