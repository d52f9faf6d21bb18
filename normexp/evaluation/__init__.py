"""Measurements of a network: accuracy, contrast, statistics, cost, and of a norm layer alone."""
