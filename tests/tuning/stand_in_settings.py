"""Settings for a worker whose retriever training is the stand-in of trainer.py."""

from config.settings import *  # noqa: F403

TRAINERS = {"retriever": "tests.tuning.trainer"}
