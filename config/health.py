"""Liveness, readiness and Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from redis import Redis
from redis.exceptions import RedisError


class NotReady(Exception):
    """A check of /readyz failed; the message is the reason."""


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 as long as the process runs; touch no database."""
    return HttpResponse("ok\n", content_type="text/plain")


def _database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        raise NotReady(f"the database does not answer: {error}") from error


def _migrations() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise NotReady("migrations are not applied: run manage.py migrate")


def ping_broker() -> None:
    """Raise NotReady where the broker does not answer within a second."""
    if settings.REDIS_URL:
        client = Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    else:
        client = Redis(unix_socket_path=str(settings.EMBEDDED_BROKER_SOCKET), socket_timeout=1)
    try:
        client.ping()
    except (RedisError, OSError) as error:
        raise NotReady(f"the broker does not answer: {error}") from error
    finally:
        client.close()


def _release() -> None:
    from curation.models import Release

    if not Release.objects.live().exists():
        raise NotReady("no project has a live release: run manage.py build_index")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": ping_broker,
    "release": _release,
}


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 where every check passes, else 503; the body has the result of each check, "ok" or the reason."""
    results: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            check()
            results[name] = "ok"
        except NotReady as error:
            results[name] = str(error)
            if name == "database":
                break  # the other checks read it
    is_ready = all(result == "ok" for result in results.values())
    return JsonResponse({"ready": is_ready, "parts": results}, status=200 if is_ready else 503)


class RowCounts:
    """Gauges that are counted from the database at each scrape, so that every process reports the same values."""

    def collect(self) -> Iterable[Metric]:
        from curation.models import Assignment, Query, Release
        from retrieval.models import IndexBuild
        from tuning.models import Cycle, Run

        states_by_project = [
            ("tandem_queries", "Queries by project and state.", Query),
            ("tandem_assignments", "Assignments by project and state.", Assignment),
        ]
        for name, help_text, model in states_by_project:
            gauge = GaugeMetricFamily(name, help_text, labels=["project", "state"])
            rows = model._default_manager.values_list("project__slug", "state")
            for project, state, count in rows.annotate(Count("pk")):
                gauge.add_metric([project, state], count)
            yield gauge
        jobs = GaugeMetricFamily("tandem_jobs", "Jobs by kind and state.", labels=["kind", "state"])
        for job_model in (IndexBuild, Cycle, Run):
            for state, count in job_model.objects.order_by().values_list("state").annotate(Count("pk")):
                jobs.add_metric([job_model.__name__.lower(), state], count)
        yield jobs
        live_releases = GaugeMetricFamily("tandem_serving_release", "Number of the live release.", labels=["project"])
        for project, number in Release.objects.live().values_list("project__slug", "number"):
            live_releases.add_metric([project], number)
        yield live_releases


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in Prometheus' text format: counts only, nobody's texts."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RowCounts())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
