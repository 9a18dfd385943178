"""The addresses of the API, version 1, its schema and its pages."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from curation import api as curation_api
from tuning import api as tuning_api

version_1 = [
    path("projects/", curation_api.Projects.as_view(), name="projects"),
    path("projects/<slug:slug>/queries/", curation_api.Queries.as_view(), name="queries"),
    path("projects/<slug:slug>/queries/<int:pk>/", curation_api.OneQuery.as_view(), name="query"),
    path(
        "projects/<slug:slug>/provisional-grades/",
        curation_api.ProvisionalGrades.as_view(),
        name="provisional_grades",
    ),
    path("projects/<slug:slug>/releases/", curation_api.Releases.as_view(), name="releases"),
    path("projects/<slug:slug>/turns/", tuning_api.Turns.as_view(), name="turns"),
    path("projects/<slug:slug>/turns/<int:pk>/", tuning_api.OneTurn.as_view(), name="turn"),
]

urlpatterns = [
    path("v1/", include((version_1, "api"))),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
