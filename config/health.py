"""Is it alive, is it ready, and how is it going: for load balancers and Prometheus."""

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
    """One part that must answer does not; the message says which and how."""


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Touches nothing."""
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
        raise NotReady("migrations are waiting: run manage.py migrate")


def ping_broker() -> None:
    """Raises NotReady when the broker does not answer within a second."""
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
        raise NotReady("no project has a serving release: run manage.py build_index")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": ping_broker,
    "release": _release,
}


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part answers, else 503; the body names each part and what is wrong with it."""
    parts: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            check()
            parts[name] = "ok"
        except NotReady as error:
            parts[name] = str(error)
            if name == "database":
                break  # nothing else can be asked
    ready = all(state == "ok" for state in parts.values())
    return JsonResponse({"ready": ready, "parts": parts}, status=200 if ready else 503)


class RowCounts:
    """Gauges counted from the rows at each scrape: the rows are the truth in every process."""

    def collect(self) -> Iterable[Metric]:
        from curation.models import Assignment, Query, Release
        from retrieval.models import IndexBuild
        from tuning.models import Cycle, Run

        counted = [
            ("tandem_queries", "Queries by project and state.", Query),
            ("tandem_assignments", "Assignments by project and state.", Assignment),
        ]
        for name, text, model in counted:
            gauge = GaugeMetricFamily(name, text, labels=["project", "state"])
            rows = model._default_manager.values_list("project__slug", "state")
            for project, state, count in rows.annotate(Count("pk")):
                gauge.add_metric([project, state], count)
            yield gauge
        jobs = GaugeMetricFamily("tandem_jobs", "Long work by kind and state.", labels=["kind", "state"])
        for kind in (IndexBuild, Cycle, Run):
            for state, count in kind.objects.order_by().values_list("state").annotate(Count("pk")):
                jobs.add_metric([kind.__name__.lower(), state], count)
        yield jobs
        serving = GaugeMetricFamily("tandem_serving_release", "Number of the release in service.", labels=["project"])
        for project, number in Release.objects.live().values_list("project__slug", "number"):
            serving.add_metric([project], number)
        yield serving


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text. Counts only, no text of anyone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RowCounts())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
