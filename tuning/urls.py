"""URLs of tuning: cycles, policy, runs, datasets, learning curves, guardrail sets, blind comparison."""

from django.urls import path

from tuning.cycles import views as cycles_views
from tuning.datasets import views as datasets_views
from tuning.evaluation import views as evaluation_views
from tuning.learning_curves import views as learning_curves_views
from tuning.training import views as training_views

app_name = "tuning"

urlpatterns = [
    path("cycles/", cycles_views.cycles, name="cycles"),
    path("cycles/start/", cycles_views.start, name="start"),
    path("cycles/policy/", cycles_views.policy, name="policy"),
    path("guardrails/", evaluation_views.guardrails, name="guardrails"),
    path("guardrails/<int:pk>/", evaluation_views.change_guardrail_set, name="change_guardrail_set"),
    path("runs/<int:pk>/", training_views.run, name="run"),
    path("runs/<int:pk>/curves/", training_views.run_curves, name="run_curves"),
    path("runs/<int:pk>/<str:kind>.tar", training_views.weights, name="weights"),
    path("runs/<int:pk>/merge/", training_views.merge, name="merge"),
    path("cycles/<int:pk>/", cycles_views.cycle, name="cycle"),
    path("cycles/<int:pk>/cancel/", cycles_views.cancel, name="cancel"),
    path("learning-curves/", learning_curves_views.learning_curves, name="learning_curves"),
    path("learning-curves/<int:pk>/", learning_curves_views.learning_curve, name="learning_curve"),
    path("learning-curves/<int:pk>/points/", learning_curves_views.learning_curve_points, name="learning_curve_points"),
    path("learning-curves/<int:pk>/cancel/", learning_curves_views.cancel_learning_curve, name="cancel_learning_curve"),
    path("datasets/", datasets_views.datasets, name="datasets"),
    path("datasets/licence/", datasets_views.licence, name="licence"),
    path("datasets/<int:number>/", datasets_views.dataset, name="dataset"),
    path("datasets/<int:number>/card.md", datasets_views.dataset_card, name="dataset_card"),
    path("datasets/<int:number>/changes/", datasets_views.dataset_changes, name="dataset_changes"),
    path("judgements/<int:pk>/", datasets_views.judgement, name="judgement"),
    path("judgements/<int:pk>/withdraw/", datasets_views.withdraw_judgement, name="withdraw_judgement"),
    path("releases/<int:number>/judgements/", datasets_views.release_judgements, name="release_judgements"),
    path("side-by-side/", evaluation_views.side_by_side, name="side_by_side"),
    path("side-by-side/<int:pk>/", evaluation_views.pair, name="pair"),
    path("side-by-side/<int:pk>/vote/", evaluation_views.vote, name="vote"),
]
