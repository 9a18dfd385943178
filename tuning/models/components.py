"""The components of a release that learn."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Component(models.TextChoices):
    """A component that learns: the retriever, the generator, or the optional reranker after the retriever."""

    RETRIEVER = "retriever", _("retriever")
    GENERATOR = "generator", _("generator")
    RERANKER = "reranker", _("reranker")


# Choices of what a cycle or a learning curve trains. A reranker is never trained alone.
COMPONENTS = [(component.value, component.label) for component in (Component.RETRIEVER, Component.GENERATOR)]
