import pytest
from django.test import Client

from curation.models import Release


def test_alive_touches_no_database(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


def test_ready_names_what_is_missing(client: Client, db: None) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["database"] == "ok"
    assert "build_index" in answer.json()["parts"]["release"]


@pytest.mark.slow
def test_ready_once_a_release_serves(client: Client, broker: None, release: Release) -> None:
    answer = client.get("/readyz")
    assert answer.json() == {
        "ready": True,
        "parts": {"database": "ok", "migrations": "ok", "broker": "ok", "release": "ok"},
    }
    assert answer.status_code == 200


def test_metrics_count_rows_by_project_and_state(client: Client, release: Release) -> None:
    text = client.get("/metrics").content.decode()
    assert 'tandem_serving_release{project="zoo"} 1.0' in text
    assert 'tandem_jobs{kind="indexbuild",state="done"} 1.0' in text


def test_health_pages_refuse_a_post(client: Client) -> None:
    assert {client.post(path).status_code for path in ("/healthz", "/readyz", "/metrics")} == {405}
