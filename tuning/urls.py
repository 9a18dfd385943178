"""Pages of a project's loop: turns, runs, and when it turns by itself."""

from django.urls import path

from tuning import views

app_name = "tuning"

urlpatterns = [
    path("runs/", views.runs, name="runs"),
    path("runs/start/", views.start, name="start"),
    path("runs/policy/", views.policy, name="policy"),
    path("runs/<int:pk>/", views.run, name="run"),
    path("runs/<int:pk>/curves/", views.run_curves, name="run_curves"),
    path("turns/<int:pk>/", views.turn, name="turn"),
    path("turns/<int:pk>/cancel/", views.cancel, name="cancel"),
]
