"""All URLs. The pages of a project lie under /p/<slug>/; each app has its own urls module."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from config import health
from curation.annotation.judge_page import service_worker
from curation.projects import views as projects_views

# Browsers request /favicon.ico on pages without an icon link, such as the admin's.
favicon = RedirectView.as_view(url=f"{settings.STATIC_URL}img/favicon.svg", http_method_names=["get", "head"])

admin.site.site_header = admin.site.site_title = "Tandem"

handler500 = "config.errors.server_error"

urlpatterns = [
    path("", projects_views.home, name="home"),
    path("sign-in/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="logout"),
    path("language/", set_language, name="set_language"),
    path("preferences/", projects_views.preferences, name="preferences"),
    path("preferences/default-keys/", projects_views.default_keys, name="default_keys"),
    path("p/<slug:slug>/", include("curation.urls")),
    path("p/<slug:slug>/", include("tuning.urls")),
    path("api/", include("config.api_urls")),
    path("admin/", admin.site.urls),
    path("favicon.ico", favicon, name="favicon"),
    # At the root, because a service worker controls only the pages below its own URL.
    path("service-worker.js", service_worker.service_worker, name="service_worker"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
