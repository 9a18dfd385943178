from django.apps import AppConfig


class CurationConfig(AppConfig):
    name = "curation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from curation.annotation import assignments, re_annotation
        from curation.core import labels  # noqa: F401  registers the messages that rows store
        from curation.queries.signals import queries_ready
        from curation.review import staleness
        from retrieval.documents.signals import passages_retired

        passages_retired.connect(staleness.on_passages_retired, dispatch_uid="curation.review.staleness")
        passages_retired.connect(re_annotation.on_passages_retired, dispatch_uid="curation.annotation.re_annotation")
        queries_ready.connect(assignments.on_queries_ready, dispatch_uid="curation.annotation.assignments")
