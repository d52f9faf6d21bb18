"""Batch norm or instance norm, when, why, and can they be combined? Answers with evidence."""

__version__ = "0.1.0"
