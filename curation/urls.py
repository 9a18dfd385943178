"""URLs of a project's pages: overview, queries, judge page, reviews, quality, releases."""

from django.urls import path

from curation.annotation import views as annotation_views
from curation.annotation.judge_page import views as judge_page_views
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

query_urls = [
    path("ask/", queries_views.ask, name="ask"),
    path("queries/", queries_views.queries, name="queries"),
    path("queries/<int:pk>/", queries_views.query, name="query"),
    path("queries/<int:pk>/overlap/", projects_views.overlap, name="overlap"),
    path("queries/<int:pk>/gold/", review_views.toggle_gold, name="toggle_gold"),
]

annotation_urls = [
    path("judge/", judge_page_views.judge, name="judge"),
    path("judge/next/", judge_page_views.claim, name="claim"),
    path("assignments/<int:pk>/", judge_page_views.assignment, name="assignment"),
    path("assignments/<int:pk>/grades/", judge_page_views.grades, name="grades"),
    path("assignments/<int:pk>/answer/", judge_page_views.write_answer, name="write_answer"),
    path("assignments/<int:pk>/preview/", judge_page_views.preview, name="preview"),
    path("assignments/<int:pk>/unanswerable/", judge_page_views.unanswerable, name="unanswerable"),
    path("assignments/<int:pk>/flag/", judge_page_views.flag, name="flag"),
    path("assignments/<int:pk>/skip/", judge_page_views.skip, name="skip"),
    path("assignments/<int:pk>/search/", judge_page_views.find_passages, name="find_passages"),
    path("assignments/<int:pk>/passages/", judge_page_views.add_passage, name="add_passage"),
    path("assignments/<int:pk>/submit/", judge_page_views.submit, name="submit"),
    path("assignments/<int:pk>/undo-submit/", judge_page_views.undo_submit, name="undo_submit"),
    path("assignments/<int:pk>/renew/", judge_page_views.renew, name="renew"),
]

review_urls = [
    path("reviews/", review_views.reviews, name="reviews"),
    path("reviews/<int:pk>/", review_views.review, name="review"),
    path("reviews/<int:pk>/resolve/", review_views.resolve, name="resolve"),
    path("reviews/<int:pk>/send-back/", review_views.send_back, name="send_back"),
    path("queries/<int:pk>/reopen/", review_views.reopen, name="reopen"),
]

propagation_urls = [
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
    path("releases/<int:number>/requeue/", annotation_views.requeue_regressions, name="requeue_regressions"),
    path("releases/<int:number>/promote/", releases_views.promote, name="promote"),
    path("releases/roll-back/", releases_views.roll_back, name="roll_back"),
]

urlpatterns = [
    *project_urls,
    *query_urls,
    *annotation_urls,
    *review_urls,
    *propagation_urls,
    *quality_urls,
    *release_urls,
]
