"""The page for an unhandled exception."""

from __future__ import annotations

import logging
import re

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django.fixtures import Settings

from config import urls
from config.urls import handler500  # noqa: F401 - Django looks for it in the root URL configuration


def _broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the view is broken")


urlpatterns = [path("broken/", _broken), *urls.urlpatterns]


@pytest.fixture
def client(settings: Settings) -> Client:
    settings.ROOT_URLCONF = __name__
    return Client(raise_request_exception=False)


def test_the_error_id_on_the_page_leads_to_the_exception_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = client.get("/broken/")
    assert response.status_code == 500
    match = re.search(r"Error ID ([0-9a-f]{8}) has been logged\.", response.content.decode())
    assert match
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    message = logging.Formatter().format(record)
    assert "RuntimeError: the view is broken" in message
    assert f"Error ID {match[1]}" in message


def test_each_error_has_its_own_id(client: Client) -> None:
    pages = [client.get("/broken/").content.decode() for _request in range(2)]
    first, second = (re.findall(r"Error ID ([0-9a-f]+)", page) for page in pages)
    assert first and second and first != second


def test_the_exception_itself_is_not_on_the_page(client: Client) -> None:
    assert "the view is broken" not in client.get("/broken/").content.decode()
