"""Reads what runs found, compares them, and shows it. Without torch."""
