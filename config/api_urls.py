"""URLs of the API version 1, of its schema and of its documentation pages."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from curation.projects import api as projects_api
from curation.propagation import api as propagation_api
from curation.queries import api as queries_api
from curation.releases import api as releases_api
from tuning.cycles import api as cycles_api
from tuning.datasets import api as datasets_api
from tuning.evaluation import api as evaluation_api
from tuning.learning_curves import api as learning_curves_api
from tuning.training import api as training_api

project_urlpatterns = [
    path("queries/", queries_api.Queries.as_view(), name="queries"),
    path("queries/<int:pk>/", queries_api.OneQuery.as_view(), name="query"),
    path("queries/<int:pk>/lineage/", datasets_api.AnswerLineage.as_view(), name="answer_lineage"),
    path("suggested-grades/", propagation_api.SuggestedGrades.as_view(), name="suggested_grades"),
    path("judgements/<int:pk>/lineage/", datasets_api.JudgementLineage.as_view(), name="judgement_lineage"),
    path("releases/", releases_api.Releases.as_view(), name="releases"),
    path("releases/<int:number>/lineage/", datasets_api.ReleaseLineage.as_view(), name="release_lineage"),
    path("releases/<int:number>/judgements/", datasets_api.ReleaseJudgements.as_view(), name="release_judgements"),
    path("releases/<int:number>/votes/", evaluation_api.ReleaseVotes.as_view(), name="release_votes"),
    path("side-by-side/", evaluation_api.Pairs.as_view(), name="side_by_side"),
    path("side-by-side/<int:pk>/", evaluation_api.PairDetail.as_view(), name="pair"),
    path("side-by-side/<int:pk>/vote/", evaluation_api.Votes.as_view(), name="vote"),
    path("datasets/", datasets_api.Datasets.as_view(), name="datasets"),
    path("datasets/<int:number>/", datasets_api.DatasetDetail.as_view(), name="dataset"),
    path("datasets/<int:number>/changes/", datasets_api.DatasetChanges.as_view(), name="dataset_changes"),
    path("cycles/", cycles_api.Cycles.as_view(), name="cycles"),
    path("cycles/<int:pk>/", cycles_api.CycleDetail.as_view(), name="cycle"),
    path("runs/<int:pk>/curves/", training_api.RunCurves.as_view(), name="run_curves"),
    path("learning-curves/", learning_curves_api.LearningCurves.as_view(), name="learning_curves"),
    path("learning-curves/<int:pk>/", learning_curves_api.LearningCurveDetail.as_view(), name="learning_curve"),
]

v1_urlpatterns: list[URLPattern | URLResolver] = [
    path("projects/", projects_api.Projects.as_view(), name="projects"),
    path("projects/<slug:slug>/", include(project_urlpatterns)),
]

urlpatterns = [
    path("v1/", include((v1_urlpatterns, "api"))),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
