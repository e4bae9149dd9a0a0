"""Adversaries made of other adversaries."""
