"""Tables of what the models learn from people's decisions: datasets, cycles, runs, evaluations, decisions."""

from tuning.models.components import COMPONENTS, Component
from tuning.models.cycles import Cycle, Run
from tuning.models.datasets import Dataset, DatasetQuery, Split
from tuning.models.evaluations import ComparisonPair, Decision, Evaluation, Vote, VoteQuerySet
from tuning.models.guardrails import GuardrailSet
from tuning.models.learning_curves import LearningCurve
from tuning.models.policies import Gate, GuardrailRule, Policy, TargetRule

__all__ = [
    "COMPONENTS",
    "ComparisonPair",
    "Component",
    "Cycle",
    "Dataset",
    "DatasetQuery",
    "Decision",
    "Evaluation",
    "Gate",
    "GuardrailRule",
    "GuardrailSet",
    "LearningCurve",
    "Policy",
    "Run",
    "Split",
    "TargetRule",
    "Vote",
    "VoteQuerySet",
]
