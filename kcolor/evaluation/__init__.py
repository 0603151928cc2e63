"""Evaluation: measuring models against the truth, and reporting it."""
