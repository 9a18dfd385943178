"""The request as a view of members gets it."""

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from curation.models import Membership


class MemberRequest(HttpRequest):
    """Signed in; of a member of the project on the page. permissions.require and the middleware fill it."""

    user: User
    membership: Membership
    htmx: HtmxDetails
