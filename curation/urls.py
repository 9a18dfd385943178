"""Pages of a project where people ask, judge, review, and choose what serves."""

from django.urls import path

from curation.annotation import views as annotation_views
from curation.core import views as core_views
from curation.projects import views as projects_views
from curation.propagation import views as propagation_views
from curation.quality import views as quality_views
from curation.queries import views as queries_views
from curation.releases import views as releases_views
from curation.review import views as review_views

app_name = "curation"

project_urls = [
    path("", projects_views.project, name="project"),
    path("settings/", projects_views.settings, name="settings"),
    path("audit-log/", core_views.audit_log, name="audit_log"),
    path("members/", projects_views.members, name="members"),
    path("members/<int:pk>/", projects_views.member, name="member"),
    path("members/<int:pk>/remove/", projects_views.remove_member, name="remove_member"),
]

asking_urls = [
    path("ask/", queries_views.ask, name="ask"),
    path("queries/", queries_views.queries, name="queries"),
    path("queries/<int:pk>/", queries_views.query, name="query"),
    path("queries/<int:pk>/overlap/", queries_views.overlap, name="overlap"),
    path("queries/<int:pk>/gold/", queries_views.gold, name="gold"),
]

judging_urls = [
    path("judge/", annotation_views.judge, name="judge"),
    path("judge/next/", annotation_views.claim, name="claim"),
    path("assignments/<int:pk>/", annotation_views.assignment, name="assignment"),
    path("assignments/<int:pk>/grades/", annotation_views.grades, name="grades"),
    path("assignments/<int:pk>/answer/", annotation_views.write_answer, name="write_answer"),
    path("assignments/<int:pk>/preview/", annotation_views.preview, name="preview"),
    path("assignments/<int:pk>/unanswerable/", annotation_views.unanswerable, name="unanswerable"),
    path("assignments/<int:pk>/flag/", annotation_views.flag, name="flag"),
    path("assignments/<int:pk>/skip/", annotation_views.skip, name="skip"),
    path("assignments/<int:pk>/search/", annotation_views.find_passages, name="find_passages"),
    path("assignments/<int:pk>/passages/", annotation_views.add_passage, name="add_passage"),
    path("assignments/<int:pk>/submit/", annotation_views.submit, name="submit"),
    path("assignments/<int:pk>/undo-submit/", annotation_views.undo_submit, name="undo_submit"),
    path("assignments/<int:pk>/renew/", annotation_views.renew, name="renew"),
]

reviewing_urls = [
    path("reviews/", review_views.reviews, name="reviews"),
    path("reviews/<int:pk>/", review_views.review, name="review"),
    path("reviews/<int:pk>/settle/", review_views.settle, name="settle"),
    path("reviews/<int:pk>/return/", review_views.return_review, name="return_review"),
    path("queries/<int:pk>/reopen/", review_views.reopen, name="reopen"),
]

passing_urls = [
    path("suggested-grades/", propagation_views.suggested_grades, name="suggested_grades"),
    path("suggested-grades/decide/", propagation_views.decide, name="decide"),
]

quality_urls = [
    path("quality/", quality_views.quality, name="quality"),
    path("quality/<slug:name>.csv", quality_views.quality_csv, name="quality_csv"),
]

release_urls = [
    path("releases/", releases_views.releases, name="releases"),
    path("releases/<int:number>/", releases_views.release, name="release"),
    path("releases/<int:number>/requeue/", releases_views.requeue_regressions, name="requeue_regressions"),
    path("releases/<int:number>/promote/", releases_views.promote, name="promote"),
    path("releases/roll-back/", releases_views.roll_back, name="roll_back"),
]

urlpatterns = [*project_urls, *asking_urls, *judging_urls, *reviewing_urls, *passing_urls, *quality_urls, *release_urls]
