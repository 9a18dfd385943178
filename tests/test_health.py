"""Liveness, readiness and metrics."""

import pytest
from django.test import Client

from curation.models import Release


def test_healthz_touches_no_database(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


def test_readyz_names_the_failed_check(client: Client, db: None) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["database"] == "ok"
    assert "build_index" in response.json()["parts"]["release"]


@pytest.mark.slow
def test_readyz_answers_200_with_a_live_release(client: Client, broker: None, release: Release) -> None:
    response = client.get("/readyz")
    assert response.json() == {
        "ready": True,
        "parts": {"database": "ok", "migrations": "ok", "broker": "ok", "release": "ok"},
    }
    assert response.status_code == 200


def test_metrics_count_rows_by_project_and_state(client: Client, release: Release) -> None:
    text = client.get("/metrics").content.decode()
    assert 'tandem_serving_release{project="zoo"} 1.0' in text
    assert 'tandem_jobs{kind="indexbuild",state="done"} 1.0' in text


def test_health_pages_refuse_a_post(client: Client) -> None:
    assert {client.post(path).status_code for path in ("/healthz", "/readyz", "/metrics")} == {405}
