"""Measurements against ground truth: data readers, metrics, baselines, tables."""
