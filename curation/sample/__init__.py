"""The sample project: an assistant for the Python language.

The passages come from the Python that runs (`corpus`). The queries, answers and grades in the files beside this one
were written by the project's authors. `load` combines the two.
"""
