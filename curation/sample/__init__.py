"""The sample project: an assistant for the Python language.

The text comes from the user's own Python (`corpus`); the questions, answers and grades beside this
file were written by the project's authors, and `loading` brings the two together.
"""
